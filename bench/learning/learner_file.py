"""Opens a checkpoint for its learner alone: without its data, and without running what is in it.

With record and data: :mod:`bench.tutor.checkpoints`.
"""

import warnings
from pathlib import Path
from typing import Any

import torch

from bench.base import registry
from bench.base.errors import BenchError
from bench.learning.learner import MetaLearner
from bench.learning.stored import ALGORITHM


def load(path: str | Path) -> MetaLearner:
    """The learner of a checkpoint, its class found by the algorithm's name.

    Nothing but tensors and plain data is read from the file, and of its hyper-parameters only what
    the algorithm's constructor knows: ``load_from_checkpoint`` of Lightning would import and call
    what the file names.

    Raises:
        BenchError: if the file is missing, damaged, or not of an algorithm of the suite.
    """
    path = Path(path).expanduser()
    stored = read(path)
    name = stored.get(ALGORITHM)
    if not isinstance(name, str):
        raise BenchError(
            f"{path} does not say which algorithm it is of: train it again with this version"
        )
    try:
        cls = registry.load("algorithms", name)
        given = stored["hyper_parameters"]
        options = {n: given[n] for n in registry.option_names("algorithms", name) if n in given}
        learner = cls(**options | {"engine": "batched"})  # compiling is for training
        learner.configure_model()
        learner.on_load_checkpoint(stored)
        learner.load_state_dict(stored["state_dict"])
    except BenchError as error:
        raise BenchError(f"{path}: {error}") from None
    except Exception as error:  # whatever wrong contents lead to
        raise BenchError(
            f"{path}: its contents do not fit the algorithm {name} ({type(error).__name__}: "
            f"{error}): train it again with this version"
        ) from None
    if not all(v.isfinite().all() for v in learner.state_dict().values()):
        raise BenchError(f"{path} holds numbers that are not finite: the training has diverged")
    return learner.eval()


def read(path: Path) -> dict[str, Any]:
    """What a checkpoint of the suite holds: tensors and plain data; nothing in it is run.

    Raises:
        BenchError: if the file is missing, damaged or no such checkpoint.
    """
    if not path.is_file():
        raise BenchError(f"{path} is no file: give a checkpoint, such as {_EXAMPLE}")
    try:
        with warnings.catch_warnings():  # torch's advice on what other programs wrote
            warnings.simplefilter("ignore")
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch.load raises nearly anything, and advises to trust the file
        stored = None
    parts = ("state_dict", "hyper_parameters")
    if (
        not isinstance(stored, dict)
        or not all(isinstance(stored.get(name), dict) for name in parts)
        or not all(isinstance(value, torch.Tensor) for value in stored["state_dict"].values())
    ):
        raise BenchError(
            f"{path} is damaged, or no checkpoint of this suite (only weights and plain data are "
            f"read from it): give one such as {_EXAMPLE}"
        )
    return stored


_EXAMPLE = "results/checkpoints/RUN/best.ckpt"
