"""Opens checkpoints of suite runs together with the data that they were trained on.

Learners alone: :mod:`bench.learning.learner_file`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.base import registry
from bench.base.errors import BenchError
from bench.learning import learner_file
from bench.learning.learner import MetaLearner
from bench.results import records
from bench.tasks.data_module import EpisodeDataModule


class Trained(NamedTuple):
    """One learner or an ensemble.

    Attributes:
        learners: with their weights, on the processor.
        data: what all of them were trained on.
        experiments: the ``experiment`` of the record of each.
    """

    learners: list[MetaLearner]
    data: EpisodeDataModule
    experiments: list[dict[str, Any]]


def load(paths: Sequence[Path], data_root: Path | None = None) -> Trained:
    """The learners of checkpoints, and the data that their records name.

    Args:
        paths: ``out/checkpoints/<key>/best.ckpt``, where suite runs left them.
        data_root: folder of prepared data; None: this machine's usual one.

    Raises:
        BenchError: if one is no such checkpoint, or they were trained on different data.
    """
    learners = [learner_file.load(path) for path in paths]
    experiments = [_experiment(Path(path)) for path in paths]
    options = [{**e["data"], "seed": 0} for e in experiments]  # the seed draws training episodes
    first = experiments[0]
    for other, own in zip(experiments, options):
        if (other["dataset"], own) != (first["dataset"], options[0]):
            raise BenchError(
                f"{first['key']} and {other['key']} were trained on different data: an ensemble "
                "needs runs that differ in algorithm and seed alone"
            )
    if data_root and "data_root" in registry.arguments("data", first["dataset"], {}):
        options[0]["data_root"] = str(data_root)
    try:
        data = registry.create("data", first["dataset"], **options[0])
    except BenchError as error:  # the record may be of another version
        raise BenchError(f"the data of {first['key']}: {error}") from None
    for path, learner in zip(paths, learners):
        if learner.spec != data.spec:
            raise BenchError(
                f"{path} was trained on tasks of {learner.spec}, and its data has {data.spec}: "
                "prepare the data as it was, or train again"
            )
    return Trained(learners, data, experiments)


def _experiment(path: Path) -> dict[str, Any]:
    """The experiment that wrote a checkpoint, from the record of the same key."""
    folder = path.expanduser().absolute().parent
    out = folder.parent.parent
    found = sorted(out.glob(f"runs/*/{folder.name}.json"))
    if not found:
        raise BenchError(
            f"{path}: no record {out / 'runs'}/*/{folder.name}.json says what data it was trained "
            "on; give a checkpoint where a suite run left it, RESULTS/checkpoints/<key>/best.ckpt"
        )
    return records.read(found[0])["experiment"]
