"""What drawing the data and Lightning add to the meta-iterations themselves."""

import tempfile
import time

import numpy as np
from lightning import Trainer
from lightning.pytorch.loggers import CSVLogger

from bench.algorithms.maml import MAML
from bench.data.irt import IRTDataModule
from bench.running.quiet import quiet
from bench.tasks.episode import Episode

ITERATIONS = 200


def measure(rounds: int, tasks: int = 128) -> dict[str, list[float] | int]:
    """Seconds of ``Trainer.fit`` on students, and of its meta-iterations alone, in turn.

    The Trainer logs every 50 steps. The meta-iterations alone are on one meta-batch: inner loops,
    meta-gradient and Adam.

    Args:
        rounds: turns of each.
        tasks: tasks in a meta-batch.

    Returns:
        ``fit`` and ``bare``, ``[rounds]`` seconds of ``iterations`` iterations each.
    """
    found = {"iterations": ITERATIONS, "tasks": tasks, "fit": [], "bare": []}
    for _ in range(rounds):
        for name, run in (("fit", _fit), ("bare", _bare)):
            found[name].append(run(*_parts(tasks)))
    return found


def share(found: dict) -> float:
    """The part of ``Trainer.fit`` that is not meta-iterations: median over the rounds."""
    return float(np.median(1 - np.divide(found["bare"], found["fit"])))


def _parts(tasks: int) -> tuple[MAML, IRTDataModule]:
    options = {"hidden": [64, 64]}
    data = IRTDataModule(tasks_per_batch=tasks, iterations_per_epoch=ITERATIONS)
    return MAML(inner_steps=5, model_options=options, spec=data.spec), data


def _fit(learner: MAML, data: IRTDataModule) -> float:
    with tempfile.TemporaryDirectory() as folder, quiet():
        trainer = Trainer(
            max_steps=ITERATIONS,
            accelerator="cpu",
            limit_val_batches=0,
            log_every_n_steps=50,
            logger=CSVLogger(folder),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        start = time.perf_counter()
        trainer.fit(learner, datamodule=data)
        return time.perf_counter() - start


def _bare(learner: MAML, data: IRTDataModule) -> float:
    learner.configure_model()
    episode = Episode(*data.episodes("train", np.arange(data.hparams["tasks_per_batch"])))
    adam = learner.optimizer(list(learner.parameters()))
    start = time.perf_counter()
    for _ in range(ITERATIONS):
        adam.zero_grad()
        learner.meta_step(episode).backward()
        adam.step()
    return time.perf_counter() - start
