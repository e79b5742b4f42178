"""Proves that several devices give what one gives, on the machine at hand.

Every algorithm is trained for a few meta-iterations on tiny tasks by one device and by several
under Lightning's DDP, in float64, and everything that must not depend on the devices is compared:
the meta-gradient, the trained weights, every row of the test, and which tasks went where.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning import Trainer
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy
from rich.console import Console
from rich.table import Table

from bench import process_group, registry
from bench.data import glyphs
from bench.data.bkt import BKTDataModule
from bench.data.glyphs import GlyphsDataModule
from bench.data_module import EpisodeDataModule
from bench.episode import Episode, MetaBatch, TaskSpec, alike
from bench.errors import BenchError
from bench.images.episodes import ImageClasses
from bench.learner import MetaLearner
from bench.training import quiet

STEPS, STEPS_PER_EPOCH = 20, 6  # so that it ends in the middle of the fourth epoch
TOLERANCE = 1e-6
LIMIT = 600.0  # seconds, for a busy machine
TASKS = 8  # of a meta-batch, or the next multiple of the devices


class TinyGlyphs(GlyphsDataModule):
    """The middle of the first characters: drawn, and trained on, in no time.

    Not smaller: where the last batch norm has only a few numbers to work on, rounding grows without
    bound from step to step, whatever the devices.

    Args:
        **kwargs: see :class:`bench.data.glyphs.GlyphsDataModule`.
    """

    image_shape = (1, 20, 20)

    def load(self, split: str) -> ImageClasses:
        """Draws ten characters."""
        numbers = np.asarray(glyphs.CLASSES[split])[:10]
        images = glyphs.draw(*glyphs.characters(0, numbers), 0, numbers)
        return ImageClasses.pack(images[:, :, 4:-4, 4:-4], [f"{n}" for n in numbers])


class UnevenGlyphs(TinyGlyphs):
    """The same in tasks of different shapes: every other one lacks a class and a query image.

    Args:
        **kwargs: see :class:`bench.data.glyphs.GlyphsDataModule`.
    """

    @property
    def spec(self) -> TaskSpec:
        """Classification into up to ``ways`` classes."""
        return super().spec._replace(varying_ways=True)

    def episodes(self, split: str, index: np.ndarray) -> MetaBatch:
        """Draws episodes, a list of batches of one task each."""
        draw = super().episodes
        return [self._cut(draw(split, np.array([i]))) for i in index]

    def _cut(self, task: Episode) -> Episode:
        if task.index[0] % 2 == 0:
            return task
        ways, shots, queries = (self.hparams[n] for n in ("ways", "shots", "queries"))
        support, query = (ways - 1) * shots, (ways - 1) * queries - 1
        return task._replace(
            support_x=task.support_x[:, :support],
            support_y=task.support_y[:, :support],
            query_x=task.query_x[:, :query],
            query_y=task.query_y[:, :query],
        )


# Images, in tasks of one shape and of several, and students whose episodes differ in length and are
# scored apart.
SIZES = {"ways": 3, "shots": 1, "queries": 2}
DATA = {
    UnevenGlyphs: SIZES,
    TinyGlyphs: SIZES,
    BKTDataModule: {"items": 12, "skills": 3, "shots": 4, "queries": 3, "tested_shots": (1, 2, 4)},
}
SMALL = {
    UnevenGlyphs: {"model_options": {"filters": 4}, "head": "prototypes"},
    TinyGlyphs: {"model_options": {"filters": 4}},
    BKTDataModule: {},
}
UNEVEN = ("maml", "fomaml")  # the others do nothing else with tasks of different shapes
VARIANTS = {  # engine and batch norm change how the gradient is computed
    ("maml", TinyGlyphs): ({"inner_steps": 2}, {"batch_norm": "support"}),
    ("maml", BKTDataModule): ({"engine": "loop"}, {"engine": "recorded"}),
    ("fomaml", BKTDataModule): ({"engine": "recorded"},),
}


@dataclass(frozen=True)
class Case:
    """What is trained and tested.

    Attributes:
        name: of the algorithm.
        learner: its class.
        data: the data module's class.
        options: arguments of the algorithm that differ from its defaults.
        data_options: arguments of the data module likewise.
    """

    name: str
    learner: type[MetaLearner]
    data: type[EpisodeDataModule]
    options: dict[str, Any] = field(default_factory=dict)
    data_options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        varied = [f" {n}={v}" for n, v in self.options.items() if n != "model_options"]
        return f"{self.name}{','.join(varied)} on {self.data.__name__.removesuffix('DataModule')}"

    @property
    def fits(self) -> bool:
        """Whether the algorithm takes such tasks."""
        spec = self.data(**self.data_options).spec
        try:
            self.learner(spec=spec, **self.options).configure_model()
        except BenchError:
            return False
        return True


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


def cases(devices: int) -> list[Case]:
    """Every algorithm on every kind of data that it takes, tiny.

    Raises:
        BenchError: if an algorithm takes none, so that nothing is known of it.
    """
    tasks = devices * -(-TASKS // devices)
    sizes = {
        "tasks_per_batch": tasks,
        "iterations_per_epoch": STEPS_PER_EPOCH,
        "val_episodes": devices + 1,
        "test_episodes": tasks + 1,  # so that one device has an episode, and a batch, more
    }
    found = []
    for name in registry.names("algorithms"):
        learner = registry.load("algorithms", name)
        made = [
            Case(name, learner, data, _known(learner, SMALL[data] | options), DATA[data] | sizes)
            for data in DATA
            if data is not UnevenGlyphs or name in UNEVEN
            for options in ({}, *VARIANTS.get((name, data), ()))
        ]
        fitting = [case for case in made if case.fits]
        if not fitting:
            raise BenchError(f"{name} takes none of the data that devices are checked with")
        found += fitting
    return found


def _known(learner: type[MetaLearner], options: dict[str, Any]) -> dict[str, Any]:
    """Those of some options that an algorithm has."""
    return {n: v for n, v in options.items() if n in registry.option_names(learner)}


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
    return [i for episode in alike(batch) for i in episode.index.tolist()]


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
    trains, wrong = case.learner.trains, []
    gradient, weights, rows = (
        max(difference(getattr(one, part), getattr(own, part)) for own in many)
        for part in ("gradient", "weights", "rows")
    )
    differences = {"test rows": rows}
    if trains:
        differences |= {"meta-gradient": gradient, f"weights after {STEPS} steps": weights}
        if not any(v.any() for v in one.gradient.values()):
            wrong.append("the meta-gradient is zero, which proves nothing")
        if len(one.trained) != STEPS:
            wrong.append(f"{len(one.trained)} meta-iterations instead of {STEPS}")
        wrong += _tasks(one, many)
    wrong += [f"{n} differ by {v:.1e}" for n, v in differences.items() if not v <= TOLERANCE]
    tested = [i for own in many for i in own.tested]
    for who, seen in (("one device", one.tested), (f"{len(many)} devices", tested)):
        if sorted(seen) != list(range(one.listed)):
            wrong.append(
                f"{who} tested {len(seen)} episodes, {len(set(seen))} different ones, of "
                f"{one.listed}"
            )
    trained = sum(len(tasks) for own in many for tasks in own.trained)
    return Verdict(
        case, *((gradient, weights) if trains else (None, None)), rows, trained, len(tested), wrong
    )


def _tasks(one: Found, many: Sequence[Found]) -> list[str]:
    """What is wrong with how the tasks were dealt out."""
    dealt = [[i for tasks in own.trained for i in tasks] for own in many]
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
        said = "; ".join(wrong)
        raise BenchError(f"{devices} devices do not give what one gives: {said}")
