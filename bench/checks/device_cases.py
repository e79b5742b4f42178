"""What several devices are checked with: every algorithm on every kind of tasks it takes, tiny."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.base import registry
from bench.base.errors import BenchError
from bench.data import glyphs
from bench.data.bkt import BKTDataModule
from bench.data.glyphs import GlyphsDataModule
from bench.data.images.episodes import ImageClasses
from bench.learning.learner import MetaLearner
from bench.tasks.data_module import EpisodeDataModule
from bench.tasks.episode import Episode, MetaBatch, TaskSpec

STEPS_PER_EPOCH = 6  # so that 20 steps end in the middle of the fourth epoch
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
# Many inner steps of a network with batch norm make of rounding what a tolerance does not admit.
SHORT = {"imaml": {"inner_lr": 0.01, "inner_steps": 2}}
ONLY = {  # the others do nothing else with different shapes
    UnevenGlyphs: ("maml", "fomaml", "proto_net"),
}
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
        same = {"model_options", *SHORT.get(self.name, {})}  # in each case of the algorithm
        varied = [f" {n}={v}" for n, v in self.options.items() if n not in same]
        return f"{self.name}{','.join(varied)} on {self.data.__name__.removesuffix('DataModule')}"

    @property
    def fits(self) -> bool:
        """Whether the algorithm takes such tasks."""
        learner = self.learner(**self.options)
        learner.note_tasks(self.data(**self.data_options))
        try:
            learner.configure_model()
        except BenchError:
            return False
        return True


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
            Case(
                name,
                learner,
                data,
                _known(name, SMALL[data] | SHORT.get(name, {}) | options),
                DATA[data] | sizes,
            )
            for data in DATA
            if name in ONLY.get(data, (name,))
            for options in ({}, *VARIANTS.get((name, data), ()))
        ]
        fitting = [case for case in made if case.fits]
        if not fitting:
            raise BenchError(f"{name} takes none of the data that devices are checked with")
        found += fitting
    return found


def _known(algorithm: str, options: dict[str, Any]) -> dict[str, Any]:
    """Those of some options that an algorithm has."""
    return {n: v for n, v in options.items() if n in registry.option_names("algorithms", algorithm)}
