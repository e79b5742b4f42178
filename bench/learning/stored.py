"""What a checkpoint holds of a learner beside what Lightning puts there, and what must fit it.

:mod:`bench.learning.learner_file` opens one without running anything that it names.
"""

import inspect
import io
from collections.abc import Mapping, Sequence
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


class Stored(LightningModule):
    """Writes a checkpoint that can be used without the data, and takes one up.

    Attributes:
        vocabulary: what questions to students are called; None: tasks are no students.
    """

    def __init__(self):
        super().__init__()
        self.vocabulary: dict[str, Any] | None = None
        self.register_state_dict_post_hook(note_spec)

    def save_hyperparameters(
        self,
        *args: Any,
        ignore: Sequence[str] | str | None = None,
        frame: FrameType | None = None,
        **kwargs: Any,
    ) -> None:
        """Lightning's, without the arguments that are modules: their weights are stored anyway."""
        frame = frame or inspect.currentframe().f_back
        ignore = [ignore] if isinstance(ignore, str) else list(ignore or [])
        ignore += [] if args else modules_given(frame)
        super().save_hyperparameters(*args, ignore=ignore, frame=frame, **kwargs)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Torch's; a network that does not exist yet is built first.

        So it is after training in processes that Lightning has forked or spawned.

        Raises:
            BenchError: if nothing says what the tasks look like.
        """
        if self.net is None:
            self.hparams[SPEC] = self.hparams[SPEC] or noted_spec(state_dict)
            self.configure_model()
            self.to(next((v.dtype for v in state_dict.values() if v.is_floating_point()), None))
        if self.pretrained is not None:
            self.pretrained.known = True
        return super().load_state_dict(state_dict, *args, **kwargs)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what it takes to use the model without its data: see ``learner_file.py``."""
        module, name = type(self).__module__, type(self).__qualname__
        in_suite = module.startswith("bench.algorithms.")
        file_name = module.removeprefix("bench.algorithms.")
        checkpoint[ALGORITHM] = file_name if in_suite else f"{module}.{name}"
        data = getattr(self._trainer, "datamodule", None)
        checkpoint[STUDENTS] = getattr(data, "vocabulary", None) or self.vocabulary

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Reads what questions are called, and refuses the weights of another network.

        Raises:
            BenchError: says to pass the model again.
        """
        self.vocabulary = checkpoint.get(STUDENTS)
        if self.strict_loading:
            check_weights(self, checkpoint)


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
