"""What a checkpoint holds of a learner beside what Lightning puts there, and what must fit it.

Read again, without running anything that a file names, by :mod:`bench.learning.learner_file`.
"""

import inspect
import io
from types import FrameType
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor, nn

from bench.base.errors import BenchError

# keys in the checkpoint
ALGORITHM = "algorithm"  # its name in the registry, or where a user's class is imported from
STUDENTS = "students"  # what questions to students are called
SPEC = "spec"  # what the tasks look like, among what torch notes of the weights


def write(learner: LightningModule, checkpoint: dict[str, Any], vocabulary: dict | None) -> None:
    """Adds what it takes to use the model without its data.

    Args:
        learner: the algorithm.
        checkpoint: what Lightning is going to store.
        vocabulary: what questions to students are called; None: tasks are no students.
    """
    module, name = type(learner).__module__, type(learner).__qualname__
    in_suite = module.startswith("bench.algorithms.")
    file_name = module.removeprefix("bench.algorithms.")
    checkpoint[ALGORITHM] = file_name if in_suite else f"{module}.{name}"
    checkpoint[STUDENTS] = vocabulary


def modules_given(frame: FrameType | None) -> list[str]:
    """Names of the arguments that are modules or hold some, which are no hyper-parameters.

    Args:
        frame: of a constructor; those of subclasses, which have called it, are looked at too.
    """
    names = set()
    while frame is not None and frame.f_code.co_name == "__init__":
        given = inspect.getargvalues(frame)
        values = {n: given.locals[n] for n in given.args[1:]}  # without self
        values |= given.locals[given.keywords] if given.keywords else {}
        names |= {n for n, value in values.items() if _holds_modules(value)}
        frame = frame.f_back
    return sorted(names)


def _holds_modules(value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return any(map(_holds_modules, value))
    return isinstance(value, nn.Module)


def require_readable(learner: LightningModule) -> None:
    """Refuses hyper-parameters that are no plain data, before anything is trained.

    Raises:
        BenchError: names the argument that could be stored, and not be read again.
    """
    for name, value in learner.hparams.items():
        file = io.BytesIO()
        try:
            torch.save(value, file)
            file.seek(0)
            torch.load(file, weights_only=True)
        except Exception as error:  # whatever a strange object does
            raise BenchError(
                f"{type(learner).__name__}'s argument {name}={value!r:.60} cannot be read from a "
                "checkpoint, which holds plain data alone: pass a name or a number, and make the "
                "object in the constructor; or train with enable_checkpointing=False"
            ) from error


def note_spec(
    learner: LightningModule, weights: dict[str, Tensor], prefix: str, notes: dict[str, Any]
) -> None:
    """A hook of ``state_dict``: the spec goes with the weights, beside the version of the layers.

    A process that Lightning has forked sends its weights home, where the data is not known.
    """
    notes[SPEC] = learner.hparams[SPEC]


def noted_spec(weights: dict[str, Tensor]) -> dict[str, Any] | None:
    """What :func:`note_spec` has noted."""
    return getattr(weights, "_metadata", {}).get("", {}).get(SPEC)


def check_weights(learner: LightningModule, checkpoint: dict[str, Any]) -> None:
    """Refuses the weights of another network.

    Raises:
        BenchError: says to pass the model again.
    """
    there = {n: v.shape for n, v in checkpoint["state_dict"].items()}
    here = {n: v.shape for n, v in learner.state_dict().items()}
    if here != there:
        differing = sorted(n for n in here | there if here.get(n) != there.get(n))
        raise BenchError(
            f"the checkpoint does not fit {type(learner.net).__name__} (first differing weight: "
            f"{differing[0]}); a model of your own is not stored, so pass model= again"
        )
