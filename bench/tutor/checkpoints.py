"""Opens checkpoints together with the data that they were trained on.

Of a suite run the record says which data that was; other checkpoints say it themselves.

Learners alone: :mod:`bench.learning.learner_file`.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.base import registry
from bench.base.errors import BenchError
from bench.learning import learner_file
from bench.learning.learner import MetaLearner
from bench.learning.stored import ALGORITHM
from bench.results import records
from bench.tasks.data_module import EpisodeDataModule


class Trained(NamedTuple):
    """One learner or an ensemble.

    Attributes:
        learners: with their weights, on the processor.
        data: what all of them were trained on.
        experiments: of each the ``experiment`` of its record: key, algorithm, dataset and its
            arguments ``data``.
    """

    learners: list[MetaLearner]
    data: EpisodeDataModule
    experiments: list[dict[str, Any]]


def load(paths: Sequence[Path], data_root: Path | None = None) -> Trained:
    """The learners of checkpoints, and the data that they were trained on.

    Args:
        paths: ``out/checkpoints/<key>/best.ckpt``, where suite runs left them, or what
            ``maml-bench fit`` or a Trainer wrote on students.
        data_root: folder of prepared data; None: this machine's usual one.

    Raises:
        BenchError: if one is no such checkpoint, or they were trained on different data.
    """
    learners = [learner_file.load(path) for path in paths]
    experiments = [_experiment(Path(path), learner) for path, learner in zip(paths, learners)]
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
    try:
        spec = data.spec
    except BenchError as error:
        raise BenchError(
            f"{paths[0]} was trained on data that is not here: {error}; or give the students to "
            "ask: --answers FILE"
        ) from None
    for path, learner in zip(paths, learners):
        if learner.spec != spec:
            raise BenchError(
                f"{path} was trained on tasks of {learner.spec}, and its data has {spec}: "
                "prepare the data as it was, or train again"
            )
    return Trained(learners, data, experiments)


def _experiment(path: Path, learner: MetaLearner) -> dict[str, Any]:
    """The experiment that wrote a checkpoint: of the record of the same key, or as it says."""
    folder = path.expanduser().absolute().parent
    out = folder.parent.parent
    found = sorted(out.glob(f"runs/*/{folder.name}.json"))
    if found:
        return records.read(found[0])["experiment"]
    stored = learner_file.read(path.expanduser())
    dataset = (learner.vocabulary or {}).get("dataset")
    options = stored.get("datamodule_hyper_parameters")
    known = isinstance(dataset, str) and dataset in registry.names("data")
    if not known or not isinstance(options, dict):
        raise BenchError(
            f"{path}: neither it nor a record {out / 'runs'}/*/{folder.name}.json says what data "
            "it was trained on; give a checkpoint of students that maml-bench fit wrote, one where "
            "a suite run left it, RESULTS/checkpoints/<key>/best.ckpt, or the students to ask: "
            "--answers FILE"
        )
    return {
        "key": key(path),
        "dataset": dataset,
        "algorithm": stored[ALGORITHM],
        "data": {n: v for n, v in options.items() if isinstance(n, str) and n[:1] != "_"},
    }


def key(path: Path) -> str:
    """A name for the results of a checkpoint that no suite run wrote.

    >>> key(Path("lightning_logs/version_0/checkpoints/epoch=1-step=1000.ckpt"))
    'version_0-epoch-1-step-1000'
    """
    folder = path.expanduser().absolute().parent
    text = re.sub(r"[^\w.-]+", "-", f"{folder.parent.name}-{path.stem}", flags=re.ASCII)
    return text.lstrip(".-") or "checkpoint"
