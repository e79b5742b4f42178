"""Training that goes on where it was stopped, by whatever: Ctrl-C, a kill, a power cut.

Lightning's checkpoint holds weights, optimiser, schedule and the count of meta-batches, from which
the training episodes that come next follow. Added are the validations so far, the time spent and
the state of torch's random numbers. A file's name holds the digest of its content, so that one that
is not whole is known; the last two are kept.
"""

import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from bench.errors import BenchError, Interrupted
from bench.interruption import Signals
from bench.ranks import Ranks, is_lost

KEPT = 2
KEY = "maml-bench run"  # in the checkpoint: of which run it is
DIGITS = 16
CONTINUE, SAVE, STOP = range(3)  # what a device may wish after a meta-batch: the most is done


class Resume(Callback):
    """Writes a checkpoint every so often, and before a run that was asked to stop does so.

    Args:
        folder: where the checkpoints lie.
        fields: the experiment's, which a checkpoint must share.
        every: seconds between two checkpoints.
        signals: whether somebody asked to stop.
        crew: the processes that train together.
    """

    def __init__(
        self,
        folder: Path,
        fields: dict[str, Any],
        every: float,
        signals: Signals,
        crew: Ranks,
    ):
        self.folder, self.fields, self.every, self.signals = folder, fields, every, signals
        self.crew = crew
        self.started = self.saved = time.monotonic()
        self.seconds_before = 0.0
        self.random_state: torch.Tensor | None = None

    @property
    def seconds(self) -> float:
        """Time spent, also by the processes that were stopped."""
        return self.seconds_before + time.monotonic() - self.started

    def state_dict(self) -> dict[str, Any]:
        """What Lightning's checkpoint does not hold."""
        return {"seconds": self.seconds, "random": torch.get_rng_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what :meth:`state_dict` gave."""
        self.seconds_before, self.random_state = state["seconds"], state["random"]

    def on_save_checkpoint(self, trainer: Trainer, learner, checkpoint: dict) -> None:
        """Adds which run it is of."""
        checkpoint[KEY] = self.fields

    def on_train_start(self, trainer: Trainer, learner: LightningModule) -> None:
        """Restores the state of torch's random numbers."""
        self.signals.listen()
        if self.random_state is not None:
            torch.set_rng_state(self.random_state.cpu())
        self.saved = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, learner: LightningModule, *_) -> None:
        """Saves if it is time or the run is to stop, but not between an epoch and its validation.

        Lightning would not validate when it goes on from there.

        Raises:
            Interrupted: if it is to stop.
        """
        if trainer.is_last_batch:
            return
        wish = CONTINUE
        if self.signals.number is not None:
            wish = STOP
        elif time.monotonic() - self.saved >= self.every:
            wish = SAVE
        wish = self.crew.most(wish)  # all devices do the same
        if wish != CONTINUE:
            self.save(trainer)
        if wish == STOP:
            raise Interrupted(self.signals.number or signal.SIGTERM)

    def on_train_end(self, trainer: Trainer, learner: LightningModule) -> None:
        """Saves, so that nothing is trained again if the evaluation is stopped."""
        self.save(trainer)

    def on_test_start(self, trainer: Trainer, learner: LightningModule) -> None:
        """Takes the signals back."""
        self.signals.listen()

    on_validation_start = on_test_start

    def on_test_batch_end(self, trainer: Trainer, learner: LightningModule, *_) -> None:
        """Stops if the run is to stop: this device, as another one may have no more batches.

        Raises:
            Interrupted: if it is to stop.
        """
        if self.signals.number is not None:
            raise Interrupted(self.signals.number)

    def save(self, trainer: Trainer) -> None:
        """Writes a checkpoint; a file that is there is whole.

        Raises:
            BenchError: if it cannot be written; the earlier ones are still there.
        """
        unfinished = self.folder / ".unfinished"
        try:
            trainer.save_checkpoint(unfinished)  # on all devices
            if trainer.is_global_zero:
                content = unfinished.read_bytes()
                with unfinished.open("rb") as file:
                    os.fsync(file.fileno())
                unfinished.rename(self.folder / _name(trainer.global_step, content))
                for old in list(_newest_first(self.folder))[KEPT:]:
                    old.unlink()
        except (OSError, RuntimeError) as error:
            unfinished.unlink(missing_ok=True)
            if is_lost(error):  # another device is gone: nothing is wrong with the folder
                raise
            raise BenchError(
                f"{self.folder}: the checkpoint cannot be written ({error}): make room, and run "
                "the same command again to go on from the one before"
            ) from error
        self.saved = time.monotonic()


def find(folder: Path, fields: dict[str, Any], say: Callable[[str], None]) -> Path | None:
    """The newest checkpoint that a run can go on from.

    Args:
        folder: where they lie.
        fields: the experiment's.
        say: told why one is not taken.
    """
    for path in _newest_first(folder):
        wrong = _wrong(path, fields)
        if wrong is None:
            return path
        say(f"{path}: {wrong}; it is not used")
    return None


def forget(folder: Path) -> None:
    """Deletes the checkpoints of a run that is finished."""
    for path in _newest_first(folder):
        path.unlink()


def _wrong(path: Path, fields: dict[str, Any]) -> str | None:
    try:
        content = path.read_bytes()
        if _name(int(path.stem.split("-")[0]), content) != path.name:
            return "damaged: its content does not fit its name"
        stored = torch.load(path, map_location="cpu", weights_only=True)
        own = stored[KEY]
        best = next(s for n, s in stored["callbacks"].items() if n.startswith("ModelCheckpoint"))
        named = {best[f"{n}_path"] for n in ("best_model", "last_model", "kth_best_model")}
        folders = {Path(n).parent.resolve() for n in {*named, *best["best_k_models"]} if n}
    except Exception as error:  # whatever a strange file leads to
        return f"no checkpoint of this version ({type(error).__name__})"
    for name in sorted(own.keys() | fields.keys()):
        if own.get(name) != fields.get(name):
            return f"of another run: {name} is {own.get(name)!r} there, {fields.get(name)!r} here"
    if best["dirpath"] != str(path.parent.resolve()):
        return f"written in {best['dirpath']}, and moved since"
    if folders - {path.parent.resolve()}:
        return "it names files outside of its folder"
    if best["best_model_path"] and not Path(best["best_model_path"]).is_file():
        return "its best weights, best.ckpt, are not there"
    return None


def _name(step: int, content: bytes) -> str:
    return f"{step:09d}-{hashlib.sha256(content).hexdigest()[:DIGITS]}.resume"


def _newest_first(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.glob("*-*.resume"), reverse=True))
