"""Proves that several devices give what one gives, on the machine at hand.

Every algorithm is trained for a few meta-iterations on tiny tasks by one device and by several
under Lightning's DDP, in float64, and everything that must not depend on the devices is compared:
the meta-gradient, the trained weights, every row of the test, and which tasks went where.
"""

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import torch
from lightning import Trainer
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy
from rich.console import Console
from rich.table import Table

from bench.base.errors import BenchError
from bench.checks import process_group
from bench.checks.device_cases import Case, cases
from bench.running.quiet import quiet
from bench.tasks.episode import MetaBatch, split_by_shape

STEPS = 20
TOLERANCE = 1e-6
LIMIT = 600.0  # seconds, for a busy machine


class Found(NamedTuple):
    """What came out in one process.

    Attributes:
        gradient: the first meta-gradient, by parameter.
        weights: after the last meta-iteration, by parameter.
        rows: every test row and what is computed from all of them.
        trained: the tasks of each meta-batch that this process saw.
        tested: the test episodes that it saw.
        listed: how many test episodes there are.
    """

    gradient: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]
    rows: dict[str, np.ndarray]
    trained: list[list[int]]
    tested: list[int]
    listed: int


class Verdict(NamedTuple):
    """How several devices compare with one.

    Attributes:
        case: what was trained.
        gradient: largest difference; None where nothing is trained.
        weights: likewise.
        rows: likewise.
        trained: tasks that were trained on, over all devices.
        tested: test episodes, likewise.
        wrong: what does not agree, in words.
    """

    case: Case
    gradient: float | None
    weights: float | None
    rows: float
    trained: int
    tested: int
    wrong: list[str]


def check(
    devices: int, accelerator: str, given: Sequence[Case] | None = None, limit: float = LIMIT
) -> list[Verdict]:
    """Runs the proof.

    Args:
        devices: how many.
        accelerator: as Lightning's Trainer takes it.
        given: what to train; None: every algorithm.
        limit: seconds after which a group of processes is ended.

    Raises:
        BenchError: without such devices, or if a process fails or hangs.
    """
    if devices < 1:
        raise BenchError(f"--devices {devices}: give 1 or more")
    given = cases(devices) if given is None else given
    *many, one = process_group.run(measure, devices + 1, limit, given, accelerator, devices)
    return [compare(c, alone, found) for c, alone, *found in zip(given, one, *many)]


# In each process --------------------------------------------------------------------------------


class Watch(Callback):
    """Notes what one device sees and computes."""

    def __init__(self):
        self.gradient: dict[str, np.ndarray] = {}
        self.trained: list[list[int]] = []
        self.tested: list[int] = []

    def on_train_batch_start(self, trainer: Trainer, learner, batch, number: int) -> None:
        """Notes the tasks."""
        self.trained.append(_numbers(batch))

    def on_before_optimizer_step(self, trainer: Trainer, learner, optimizer) -> None:
        """Notes the first meta-gradient, as the optimiser gets it."""
        if trainer.global_step == 0:
            named = learner.named_parameters()
            self.gradient = {n: _array(p.grad) for n, p in named if p.grad is not None}

    def on_test_batch_start(self, trainer, learner, batch, number, loader=0) -> None:
        """Notes the episodes."""
        self.tested += _numbers(batch)


def measure(rank: int, given: Sequence[Case], accelerator: str, devices: int) -> list[Found]:
    """Trains and tests every case, as one of several devices under DDP or alone.

    Args:
        rank: which device; the process after the last one is alone.
        given: what to train.
        accelerator: as Lightning's Trainer takes it.
        devices: how many are together.
    """
    if rank == devices:
        del os.environ["LOCAL_RANK"]
        devices = 0
    with quiet():
        return [_measured(case, accelerator, devices) for case in given]


def _measured(case: Case, accelerator: str, devices: int) -> Found:
    learner, data, watch = case.learner(**case.options), case.data(**case.data_options), Watch()
    strategy = DDPStrategy(timeout=timedelta(seconds=LIMIT)) if devices else "auto"
    trainer = Trainer(  # use_distributed_sampler and all else as Lightning has it
        max_steps=STEPS,
        accelerator=accelerator,
        devices=max(devices, 1),
        strategy=strategy,
        plugins=[LightningEnvironment()],  # whatever cluster this command runs on
        precision="64-true",
        callbacks=[watch],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    if learner.trains:
        trainer.fit(learner, data)
    weights = {n: _array(p) for n, p in learner.named_parameters()}
    trainer.test(learner, data, verbose=False)
    rows = {}
    for part in learner.view_scores:
        rows |= {f"index {part.view}": part.index}
        rows |= {f"{n} {part.view}": v for n, v in (part.episode | part.pooled).items()}
    return Found(watch.gradient, weights, rows, watch.trained, watch.tested, data.listed("test"))


def _numbers(batch: MetaBatch) -> list[int]:
    return [i for episode in split_by_shape(batch) for i in episode.index.tolist()]


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().copy()


# Comparison -------------------------------------------------------------------------------------


def compare(case: Case, one: Found, many: Sequence[Found]) -> Verdict:
    """Says what of several devices differs from one.

    Args:
        case: what was trained.
        one: what one device gave.
        many: what each of several gave.
    """
    trains, wrong = case.learner.trains and not case.learner.fits_directly, []
    gradient, weights, rows = (
        max(difference(getattr(one, part), getattr(other, part)) for other in many)
        for part in ("gradient", "weights", "rows")
    )
    differences = {"test rows": rows}
    if case.learner.fits_directly:
        differences |= {"weights": weights}
    if trains:
        differences |= {"meta-gradient": gradient, f"weights after {STEPS} steps": weights}
        if not any(v.any() for v in one.gradient.values()):
            wrong.append("the meta-gradient is zero, which proves nothing")
        if len(one.trained) != STEPS:
            wrong.append(f"{len(one.trained)} meta-iterations instead of {STEPS}")
        wrong += _tasks(one, many)
    wrong += [f"{n} differ by {v:.1e}" for n, v in differences.items() if not v <= TOLERANCE]
    tested = [i for found in many for i in found.tested]
    for who, seen in (("one device", one.tested), (f"{len(many)} devices", tested)):
        if sorted(seen) != list(range(one.listed)):
            wrong.append(
                f"{who} tested {len(seen)} episodes, {len(set(seen))} different ones, of "
                f"{one.listed}"
            )
    trained = sum(len(tasks) for found in many for tasks in found.trained)
    return Verdict(
        case,
        gradient if trains else None,
        weights if case.learner.trains else None,
        rows,
        trained,
        len(tested),
        wrong,
    )


def _tasks(one: Found, many: Sequence[Found]) -> list[str]:
    """What is wrong with how the tasks were dealt out."""
    dealt = [[i for tasks in found.trained for i in tasks] for found in many]
    shared = sum(map(len, dealt)) - len(set().union(*dealt))
    wrong = [f"{shared} training tasks were seen twice"] if shared else []
    steps = [sorted(i for tasks in step for i in tasks) for step in zip(*(m.trained for m in many))]
    if steps != [sorted(tasks) for tasks in one.trained]:
        wrong.append("the meta-batches are of other tasks than those of one device")
    return wrong


def difference(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    """The largest difference of two sets of arrays, relative where numbers exceed 1.

    Infinite where they do not have the same names and shapes, whole numbers (the episodes') are not
    the same, or one alone is not a number.
    """
    if a.keys() != b.keys() or any(a[n].shape != b[n].shape for n in a):
        return np.inf
    largest = 0.0
    for name, values in a.items():
        other = b[name]
        if values.dtype.kind != "f":
            largest = max(largest, 0.0 if np.array_equal(values, other) else np.inf)
        elif not np.array_equal(np.isnan(values), np.isnan(other)):
            largest = np.inf
        elif values.size:
            with np.errstate(invalid="ignore"):  # infinite in both: no difference
                off = np.where(values == other, 0, np.abs(values - other))
            largest = max(largest, np.nanmax(off / np.fmax(np.abs(values), 1), initial=0.0))
    return float(largest)


# Report -----------------------------------------------------------------------------------------


def show(verdicts: Sequence[Verdict], devices: int, console: Console) -> None:
    """Prints the comparison, algorithm by algorithm."""
    title = f"{devices} devices against one: largest differences, weights after {STEPS} steps"
    table = Table(title=title)
    for column in ("Algorithm", "Data"):
        table.add_column(column, no_wrap=True)
    for column in ("Meta-gradient", "Weights", "Test rows", "Tasks", "Test episodes"):
        table.add_column(column, justify="right")
    table.add_column("")
    for verdict in verdicts:
        table.add_row(
            *str(verdict.case).split(" on "),
            *("-" if v is None else f"{v:.1e}" for v in verdict[1:4]),
            f"{verdict.trained}" if verdict.case.learner.trains else "-",
            f"{verdict.tested}",
            "[red]differs[/red]" if verdict.wrong else "[green]same[/green]",
        )
    console.print(table)


def conclude(verdicts: Sequence[Verdict], devices: int) -> None:
    """Ends in a message if anything disagrees.

    Raises:
        BenchError: names what.
    """
    wrong = [f"{v.case}: {', '.join(v.wrong)}" for v in verdicts if v.wrong]
    if wrong:
        reasons = "; ".join(wrong)
        raise BenchError(f"{devices} devices do not give what one gives: {reasons}")
