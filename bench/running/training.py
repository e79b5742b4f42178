"""The training inside a job (``jobs.py``): one experiment is fitted, evaluated, made a record."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import Logger

from bench.base import registry
from bench.base.errors import BenchError, Interrupted
from bench.learning.learner import MetaLearner
from bench.results import labels, predictions
from bench.results.assemble import assemble
from bench.results.provenance import provenance
from bench.running import choices, interruption, loggers, ranks, resuming
from bench.running.checkpoint_io import WholeCheckpoints
from bench.running.experiment import COMPUTED_BY, Experiment
from bench.running.machine import Machine
from bench.running.quiet import quiet
from bench.running.recovery import recovery
from bench.tasks.data_module import EpisodeDataModule
from bench.tasks.metrics import HIGHER_IS_BETTER
from bench.tasks.objectives import OBJECTIVES


class ValidationHistory(Callback):
    """Keeps the headline metric of every validation, and that which weights are chosen by.

    Args:
        headline: the metric of which there is a curve.
        judge: the one that weights are chosen by.
    """

    def __init__(self, headline: str, judge: str):
        self.headline, self.judge = headline, judge
        self.values: list[list[float]] = []
        self.judged: list[list[float]] = []

    def on_validation_end(self, trainer: Trainer, learner) -> None:
        """Appends ``[iteration, value]`` to each."""
        for metric, kept in ((self.headline, self.values), (self.judge, self.judged)):
            value = trainer.callback_metrics.get(f"val/{metric}")
            if value is not None and trainer.state.fn == "fit":
                kept.append([trainer.global_step, float(value)])

    @property
    def best_iteration(self) -> int:
        """The first after which the weights validated best; 0 without any validation."""
        sign = -1 if self.judge in HIGHER_IS_BETTER else 1
        return min(self.judged, key=lambda point: sign * point[1], default=[0])[0]

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"values": self.values, "judged": self.judged}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what :meth:`state_dict` gave."""
        self.values = list(state["values"])
        self.judged = list(state.get("judged", self.values))  # of a run begun before there was one


class SaysWeights(Callback):
    """Says once which weights of the user's own the network started from.

    Args:
        say: told it.
    """

    def __init__(self, say: Callable[[str], None]):
        self.say = say

    def on_fit_start(self, trainer: Trainer, learner: MetaLearner) -> None:
        """Says it, unless it has been said."""
        if learner.pretrained is not None and self.say is not None:
            self.say(f"  {learner.pretrained}")
            self.say = None

    on_test_start = on_validation_start = on_fit_start


def train(
    experiment: Experiment,
    out: Path,
    split: str = "test",
    machine: Machine | None = None,
    progress: bool = True,
    say: Callable[[str], None] = print,
    keep_predictions: bool = False,
) -> dict[str, Any]:
    """Trains, picks the weights that validate best, and evaluates them.

    Args:
        experiment: what to run.
        out: the results folder; the best weights go to its ``checkpoints``.
        split: ``"test"``, or ``"val"`` when hyper-parameters are being chosen.
        machine: where to run; None: this machine's usual device and folder.
        progress: whether to show a progress bar.
        say: told where training goes on.
        keep_predictions: whether what is predicted of each query row is kept in a file.

    Returns:
        The record (see :class:`bench.results.schema.Record`), without its cost.

    Raises:
        BenchError: what is wrong with the data or the settings.
        Interrupted: after Ctrl-C or SIGTERM; the same call goes on where it stopped.
    """
    machine = machine or Machine()
    world = ranks.join(machine)
    data = registry.create("data", experiment.dataset, **machine.data_arguments(experiment))
    learner = registry.create("algorithms", experiment.algorithm, **experiment.learner_arguments)
    _check_weights(experiment, learner)
    learner.keeps_predictions = keep_predictions
    chosen, fitted = choices.describe(experiment, out), {}
    checksum = data.checksum  # says what is missing, before anything is trained
    data.setup("validate" if split == "val" else "test")  # and what the end would find wrong
    provenance()  # notes which commit runs, before anybody changes it
    objective, files = OBJECTIVES[data.spec.kind], experiment.files(out)
    folder = files.checkpoints
    identity = experiment.fields | {"checksum of the data": checksum}
    judge = experiment.judged_by or objective.headline
    history, best = ValidationHistory(objective.headline, judge), best_weights(judge, folder)
    with quiet(), interruption.note_signals() as signals:
        resume = resuming.Resume(folder, identity, machine.checkpoint_every, signals, world)
        callbacks = [history, best, resume, SaysWeights(say)]
        logger = loggers.create(machine.logger, files)
        trainer = make_trainer(experiment, machine, callbacks, progress, logger)
        if learner.trains:
            fit(trainer, learner, data, resume.newest(say))
        # loading the best weights would bring back what was known when they were saved
        seconds, validation = resume.seconds, history.values
        best_iteration = history.best_iteration
        if keep_predictions:  # one number is fitted to episodes that no test has
            evaluate(trainer, learner, data, "val", best.best_model_path)
            rows = predictions.of_rows(learner.predictions, data, "val")
            from bench.results import temperature  # with pandas and scipy, which most runs spare

            fitted = {"temperature": temperature.fitted(rows)}
        evaluate(trainer, learner, data, split, best.best_model_path)
    if keep_predictions and world.is_first:
        found = predictions.of_rows(learner.predictions, data, split)
        predictions.write(files.predictions, found)
    recovered = [
        recovery(learner, data, part.index) if split == "test" and part.view is not None else {}
        for part in learner.view_scores
    ]
    return assemble(
        data.spec.kind,
        learner.view_scores,
        recovered,
        split,
        {
            "iterations": trainer.global_step,
            "seconds": round(seconds, 1),
            "validation": validation,
            "best_iteration": best_iteration,
            **fitted,
        },
        experiment=experiment.fields,
        synthetic=data.synthetic,
        chosen=chosen,
        algorithm=labels.label(experiment.algorithm, experiment.learner_arguments).fields,
        provenance=provenance(device_name(trainer), checksum)
        | {name: experiment.learner_arguments.get(name) for name in COMPUTED_BY}
        | {"devices": trainer.world_size}
        | weights_left(learner),
        **({"tuned": experiment.tuned} if experiment.tuned else {}),
    )


def _check_weights(experiment: Experiment, learner: MetaLearner) -> None:
    """Refuses a file of weights that has changed since the experiment got its key."""
    if learner.pretrained is not None:
        known = experiment.fields["learner"]["model_options"]["weights"]
        if learner.pretrained.checksum != known:
            raise BenchError(f"{experiment.weights} has changed meanwhile: run the command again")


def weights_left(learner: MetaLearner) -> dict[str, str]:
    """Which entries of the network the user's own weights did not reach, for the record."""
    if learner.pretrained is None:
        return {}
    return {"weights_left": ", ".join(learner.pretrained.left)}


def best_weights(judge: str, folder: Path) -> ModelCheckpoint:
    """Keeps the weights that validate best by a metric in a file of the folder."""
    return ModelCheckpoint(
        folder,
        filename=Path(resuming.BEST_FILE).stem,
        monitor=f"val/{judge}",
        mode="max" if judge in HIGHER_IS_BETTER else "min",
        enable_version_counter=False,
    )


def make_trainer(
    experiment: Experiment,
    machine: Machine,
    callbacks: list[Callback],
    progress: bool,
    logger: Logger | bool = False,
) -> Trainer:
    """Lightning's Trainer for the length of an experiment and the devices of a machine.

    Raises:
        BenchError: if there are no such devices.
    """
    if progress:
        callbacks = [*callbacks, RichProgressBar(leave=False)]
    try:
        return Trainer(
            max_steps=experiment.iterations,
            max_epochs=-(-experiment.iterations // experiment.iterations_per_epoch),
            accelerator=machine.accelerator,
            devices=machine.devices,
            num_nodes=machine.nodes,
            plugins=[WholeCheckpoints(), *ranks.plugins()],
            logger=logger,
            callbacks=callbacks,
            enable_progress_bar=progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
    except (
        MisconfigurationException,
        ImportError,
        ValueError,
        TypeError,
        RuntimeError,
    ) as error:
        raise BenchError(
            f"accelerator={machine.accelerator!r}, devices={machine.devices!r}: {error}"
        ) from None


def fit(
    trainer: Trainer, learner: MetaLearner, data: EpisodeDataModule, checkpoint: Path | None
) -> None:
    """Trains, from a checkpoint on if there is one.

    Raises:
        Interrupted: if the run was interrupted.
    """
    interruptible(
        trainer, trainer.fit, learner, datamodule=data, ckpt_path=checkpoint, weights_only=True
    )


def evaluate(
    trainer: Trainer, learner: MetaLearner, data: EpisodeDataModule, split: str, weights: str
) -> None:
    """Scores the learner on a split; its ``view_scores`` hold the outcome.

    Args:
        trainer: which has trained it.
        learner: the algorithm.
        data: where the episodes are from.
        split: ``"test"`` or ``"val"``.
        weights: the file of the weights to load; empty: those that it has.

    Raises:
        Interrupted: if the run was interrupted.
    """
    loaded = {"ckpt_path": weights, "weights_only": True} if weights else {}
    call = trainer.test if split == "test" else trainer.validate
    interruptible(trainer, call, learner, datamodule=data, verbose=False, **loaded)


def device_name(trainer: Trainer) -> str | None:
    """The GPU that was trained on and how many of them, or None for a CPU."""
    device = trainer.strategy.root_device
    if device.type != "cuda":
        return None
    return f"{trainer.world_size} x {torch.cuda.get_device_name(device)}"


def interruptible(trainer: Trainer, call, *args, **kwargs) -> None:
    """Calls a method of the Trainer, which turns Ctrl-C into an exit: a message instead.

    Raises:
        Interrupted: if the run was interrupted.
    """
    try:
        call(*args, **kwargs)
    except SystemExit as end:
        if not isinstance(end.__context__, KeyboardInterrupt):  # not the Trainer's own
            raise
    if trainer.interrupted:
        raise Interrupted(signal.SIGINT)
