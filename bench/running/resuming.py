"""Training that goes on where it was stopped, by whatever: Ctrl-C, a kill, a power cut.

Lightning's checkpoint holds weights, optimiser, schedule and the count of meta-batches, from which
the training episodes that come next follow. Added are the validations so far, the time spent, the
state of torch's random numbers, and the best weights so far, since their file may be of a later
validation. A file's name holds the digest of its content, so that one that is not whole is known;
the last two are kept.
"""

import hashlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from bench.base import regular_files
from bench.base.errors import BenchError, Interrupted
from bench.base.paths import replacing
from bench.running.interruption import Signals
from bench.running.ranks import World

KEPT = 2
KEY = "maml-bench run"  # in the checkpoint: of which run it is
BEST = "maml-bench best"  # in the checkpoint: the file of the best weights so far
BEST_FILE = "best.ckpt"
DIGITS = 16
CONTINUE, SAVE, STOP = range(3)  # what a device may ask for after a meta-batch; all do the most


class Resume(Callback):
    """Writes a checkpoint every so often, and before a run that was asked to stop does so.

    Args:
        folder: where the checkpoints lie.
        fields: the experiment's and its data's, which a checkpoint must share.
        every: seconds between two checkpoints.
        signals: whether somebody asked to stop.
        world: the processes that train together.
    """

    def __init__(
        self,
        folder: Path,
        fields: dict[str, Any],
        every: float,
        signals: Signals,
        world: World,
    ):
        self.folder, self.fields, self.every, self.signals = folder, fields, every, signals
        self.world = world
        self.kept: list[Path] = []  # of this run: others may lie beside them that were refused
        self.saving = False
        self.started = self.saved = time.monotonic()
        self.seconds_before = 0.0
        self.random_state: torch.Tensor | None = None

    @property
    def seconds(self) -> float:
        """Time spent, also by the processes that were stopped."""
        return self.seconds_before + time.monotonic() - self.started

    def newest(self, say: Callable[[str], None]) -> Path | None:
        """The checkpoint that the run goes on from, on all devices the same; None: from the start.

        Args:
            say: told which it is, and why others are not taken.
        """
        path = find(self.folder, self.fields, say) if self.world.is_first else None
        path = self.world.broadcast(path)
        if path is not None:
            self.kept = [path]
            say(f"going on after iteration {int(path.name.split('-')[0]):,}")
        return path

    def state_dict(self) -> dict[str, Any]:
        """What Lightning's checkpoint does not hold."""
        return {"seconds": self.seconds, "random": torch.get_rng_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what :meth:`state_dict` gave."""
        self.seconds_before, self.random_state = state["seconds"], state["random"]

    def on_save_checkpoint(self, trainer: Trainer, learner, checkpoint: dict) -> None:
        """Adds which run it is of and, to a checkpoint that one goes on from, the best weights."""
        checkpoint[KEY] = self.fields
        if self.saving and trainer.is_global_zero:
            best = trainer.checkpoint_callback.best_model_path  # a file may be of an earlier run
            checkpoint[BEST] = _read_as_tensor(Path(best)) if best else None

    def on_load_checkpoint(self, trainer: Trainer, learner, checkpoint: dict) -> None:
        """Puts the best weights so far back, whatever lies in their place."""
        content = checkpoint.get(BEST)
        if content is not None and trainer.is_global_zero:
            with replacing(self.folder / BEST_FILE) as file:
                file.write(content.numpy().tobytes())

    def on_train_start(self, trainer: Trainer, learner: LightningModule) -> None:
        """Restores the state of torch's random numbers, and the count of meta-batches.

        Lightning counts one twice that was ready but not begun when the checkpoint was written, and
        would not know from where to go on with the next checkpoint.
        """
        self.signals.listen()
        counts = trainer.fit_loop.epoch_loop.batch_progress.total
        counts.ready = counts.started
        if self.random_state is not None:
            torch.set_rng_state(self.random_state.cpu())
        self.saved = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, learner: LightningModule, *_) -> None:
        """Saves if it is time or the run is to stop, but not between an epoch and its validation.

        Lightning would not validate when it goes on from there.

        Raises:
            Interrupted: if it is to stop.
        """
        # by the count too: of an epoch that was gone on with, Lightning may not know the last batch
        if not trainer.is_last_batch and trainer.global_step % trainer.num_training_batches:
            self.save_or_stop(trainer)

    def on_train_batch_start(self, trainer: Trainer, learner, batch, number: int) -> None:
        """The same after the validation, before the next epoch, which may be of one meta-batch.

        Not at the end of the one before, from where Lightning would go on with the one after next.

        Raises:
            Interrupted: if the run is to stop.
        """
        if number == 0 and trainer.global_step:
            self.save_or_stop(trainer)

    def save_or_stop(self, trainer: Trainer) -> None:
        """Saves if it is time or the run is to stop.

        Raises:
            Interrupted: if it is to stop.
        """
        request = CONTINUE
        if self.signals.number is not None:
            request = STOP
        elif time.monotonic() - self.saved >= self.every:
            request = SAVE
        request = self.world.all_reduce_max(request)  # all devices do the same
        if request != CONTINUE:
            self.save(trainer)
        if request == STOP:
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
        self.saving = True
        try:
            trainer.save_checkpoint(unfinished)  # on all devices
            if trainer.is_global_zero:
                whole = self.folder / _file_name(trainer.global_step, unfinished.read_bytes())
                unfinished.rename(whole)
                self.kept = [*(path for path in self.kept if path != whole), whole]
                for old in self.kept[:-KEPT]:
                    old.unlink(missing_ok=True)
                self.kept = self.kept[-KEPT:]
        except OSError as error:
            raise BenchError(
                f"{self.folder}: the checkpoint cannot be written ({error}): make room, and run "
                "the same command again to go on from the one before"
            ) from error
        finally:
            self.saving = False
            if trainer.is_global_zero:
                unfinished.unlink(missing_ok=True)
        self.saved = time.monotonic()


def find(folder: Path, fields: dict[str, Any], say: Callable[[str], None]) -> Path | None:
    """The newest checkpoint that a run can go on from.

    Args:
        folder: where they lie.
        fields: the experiment's.
        say: told why one is not taken.
    """
    for path in _newest_first(folder):
        wrong = _find_wrong(path, fields)
        if wrong is None:
            return path
        say(f"{path}: {wrong}; it is not used")
    return None


def forget(folder: Path) -> None:
    """Deletes the checkpoints of a run that is finished."""
    for path in _newest_first(folder):
        path.unlink()


def _find_wrong(path: Path, fields: dict[str, Any]) -> str | None:
    try:
        regular_files.check(path)
        content = path.read_bytes()
        if _file_name(int(path.stem.split("-")[0]), content) != path.name:
            return "damaged: its content does not fit its name"
        stored = torch.load(path, map_location="cpu", weights_only=True)
        stored_fields = dict(stored[KEY])
        for name in sorted(stored_fields.keys() | fields.keys()):
            there, here = stored_fields.get(name), fields.get(name)
            if there != here:
                return f"of another run: {name} is {there!r} there, {here!r} here"
        best = next(s for n, s in stored["callbacks"].items() if n.startswith("ModelCheckpoint"))
        return _find_wrong_files(path.parent.resolve(), best, stored[BEST])
    except Exception as error:  # whatever a strange file leads to
        return f"no checkpoint of this version ({type(error).__name__})"


def _find_wrong_files(
    folder: Path, best: dict[str, Any], content: torch.Tensor | None
) -> str | None:
    """What is wrong with the files that a checkpoint names, which Lightning would believe."""
    if best["dirpath"] != str(folder):
        return f"written in {best['dirpath']}, and moved since"
    named = {best[f"{name}_path"] for name in ("best_model", "last_model", "kth_best_model")}
    if {Path(n).resolve() for n in {*named, *best["best_k_models"]} if n} - {folder / BEST_FILE}:
        return "it names other files than its own"
    whole = content is None or (content.dtype == torch.uint8 and content.dim() == 1)
    if not whole or (content is None) != (not best["best_model_path"]):
        return "its best weights are not in it"
    return None


def _read_as_tensor(path: Path) -> torch.Tensor:
    return torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)


def _file_name(step: int, content: bytes) -> str:
    return f"{step:09d}-{hashlib.sha256(content).hexdigest()[:DIGITS]}.resume"


def _newest_first(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.glob("*-*.resume"), reverse=True))
