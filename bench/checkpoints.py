"""Learners trained by a suite, with the data that they were trained on."""

from pathlib import Path
from typing import Any, NamedTuple

from bench import records, registry
from bench.data_module import EpisodeDataModule
from bench.errors import BenchError
from bench.learner import MetaLearner

NOT_OURS = "give a checkpoint of a suite run, such as RESULTS/checkpoints/<key>/best.ckpt"


class Trained(NamedTuple):
    """What a checkpoint holds.

    Attributes:
        learner: with its weights, ready to predict on the processor.
        data: the data module it was trained on.
        experiment: the ``experiment`` of its record.
    """

    learner: MetaLearner
    data: EpisodeDataModule
    experiment: dict[str, Any]


def load(path: Path, data_root: Path | None = None) -> Trained:
    """Builds learner and data module from a checkpoint, and from the record that names both.

    Args:
        path: ``out/checkpoints/<key>/best.ckpt``.
        data_root: folder of prepared data; None: as the user's machine has it, not as in training.

    Raises:
        BenchError: if it is no checkpoint of a suite run, or its record is gone.
    """
    import torch

    try:  # plain data and tensors only: nothing in a file is executed
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror or error}; {NOT_OURS}") from None
    except Exception as error:  # whatever a file that is none can lead to
        reason = str(error).strip().split("\n")[0]
        raise BenchError(f"{path} is not a checkpoint ({reason}); {NOT_OURS}") from None
    hyper = stored.get("hyper_parameters") if isinstance(stored, dict) else None
    if hyper is None or "datamodule_hyper_parameters" not in stored:
        raise BenchError(f"{path} holds no learner with its data; {NOT_OURS}")
    experiment = _record(Path(path))["experiment"]
    name, dataset = experiment["algorithm"], experiment["dataset"]
    data_options = dict(stored["datamodule_hyper_parameters"])
    if "data_root" in data_options:
        data_options["data_root"] = data_root
    learner = registry.create("algorithms", name, **hyper)
    learner.configure_model()
    learner.on_load_checkpoint(stored)
    learner.load_state_dict(stored["state_dict"])
    return Trained(learner.eval(), registry.create("data", dataset, **data_options), experiment)


def _record(path: Path) -> dict[str, Any]:
    key, out = path.absolute().parent.name, path.absolute().parent.parent.parent
    found = sorted(out.glob(f"runs/*/{key}.json"))
    if not found:
        raise BenchError(
            f"{path}: no record {out / 'runs'}/*/{key}.json says which algorithm and data this is; "
            f"{NOT_OURS}"
        )
    return records.read(found[0])
