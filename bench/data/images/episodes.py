"""Few-shot image episodes from classes of images packed in memory."""

from typing import NamedTuple

import numpy as np
import torch

from bench.base.errors import BenchError
from bench.data.images.augmented import AugmentedEpisodes
from bench.tasks import counter_random
from bench.tasks.data_module import SPLITS
from bench.tasks.episode import Episode, TaskSpec


class ImageClasses(NamedTuple):
    """The classes of one split, packed.

    Attributes:
        images: ``[images, height, width, channels]`` uint8, the images of a class side by side.
        start: ``[classes]`` where each class begins in ``images``.
        count: ``[classes]`` how many images each class has.
        names: the class names, unique.
    """

    images: np.ndarray
    start: np.ndarray
    count: np.ndarray
    names: list[str]

    @classmethod
    def pack(cls, images: np.ndarray, names: list[str]) -> "ImageClasses":
        """Classes of equally many images, from ``[classes, images, height, width, channels]``."""
        classes, count = images.shape[:2]
        return cls(
            images.reshape(-1, *images.shape[2:]),
            np.arange(classes) * count,
            np.full(classes, count),
            names,
        )


class ImageEpisodeDataModule(AugmentedEpisodes):
    """N-way K-shot episodes of images.

    An episode draws ``ways`` classes, then ``shots + queries`` different images of each; classes
    are numbered in the order in which they were drawn. A subclass sets :attr:`image_shape` and
    implements :meth:`load`.

    Args:
        ways: classes in an episode.
        shots: support images of a class.
        queries: query images of a class.
        train_ways: classes in a training episode; None: ``ways``. Prototypical networks gain by
            more than at test. Other methods then need a head that starts anew in each task.
        rotations: which splits also use each class turned by 90, 180 and 270 degrees, as classes
            of their own: ``"none"``, ``"train"`` or ``"all"``.
        **kwargs: see :class:`bench.data.images.augmented.AugmentedEpisodes`.
    """

    kind = "classification"

    inverted = False  # whether dark ink is bright
    image_shape: tuple[int, int, int]  # (channels, height, width)

    def __init__(
        self,
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
        train_ways: int | None = None,
        rotations: str = "none",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if rotations not in ("none", "train", "all"):
            raise BenchError(f"rotations={rotations!r}: choose none, train or all")
        for name in ("ways", "train_ways")[: 1 if train_ways is None else 2]:
            self.require_at_least(name, 2)
        self.require_at_least("shots", 1)
        self.require_at_least("queries", 1)
        self._classes: dict[str, ImageClasses] = {}

    @property
    def spec(self) -> TaskSpec:
        """Classification of images into ``ways`` classes, or more of them in training."""
        ways = {self.ways(split) for split in SPLITS}
        return TaskSpec(self.kind, self.image_shape, max(ways), varying_ways=len(ways) > 1)

    def load(self, split: str) -> ImageClasses:
        """Reads or draws the classes of one split.

        Raises:
            BenchError: if the data is not there, or not whole.
        """
        raise NotImplementedError

    def classes(self, split: str) -> ImageClasses:
        """The classes of a split, loaded once and checked against ways, shots and queries.

        Raises:
            BenchError: more ways than classes, or more shots + queries than a class has images.
        """
        if split not in self._classes:
            classes = self.load(split)
            channels, height, width = self.image_shape
            if classes.images.shape[1:] != (height, width, channels):
                raise BenchError(
                    f"{self.name} was prepared with images of "
                    f"{'x'.join(map(str, classes.images.shape[1:]))}, and they are "
                    f"{height}x{width}x{channels}: run prepare again"
                )
            ways, available = self.ways(split), len(classes.start) * self._turns(split)
            if ways > available:
                name = "ways" if ways == self.hparams["ways"] else "train_ways"
                raise BenchError(
                    f"{name}={ways}: the {split} split of {self.name} has {available} classes only"
                )
            shots, queries = self.hparams["shots"], self.queries(split)
            smallest = classes.count.argmin()
            if shots + queries > classes.count[smallest]:
                raise BenchError(
                    f"shots={shots} + queries={queries}: class "
                    f"{classes.names[smallest]!r} in the {split} split of {self.name} has "
                    f"{classes.count[smallest]} images only"
                )
            self._classes[split] = classes
        return self._classes[split]

    @property
    def name(self) -> str:
        """The data set's name on the command line."""
        return type(self).__module__.rsplit(".", 1)[-1]

    def setup(self, stage: str) -> None:
        """Loads the splits that a stage needs, so that what is wrong is said before it starts."""
        splits = {"fit": ("train", "val"), "validate": ("val",)}.get(stage, ("test",))
        for split in splits:
            self.classes(split)

    def episodes(self, split: str, index: np.ndarray) -> Episode:
        """Draws episodes.

        Returns:
            ``support_x: [tasks, ways * shots, channels, height, width]`` float32 in 0..1,
            ``query_x: [tasks, ways * queries, ...]``; rows are ordered by class.
        """
        image, turns = self.draw(split, index)
        x = turn(np.moveaxis(self.classes(split).images, -1, 1)[image], turns)
        ways, shots, queries = self.ways(split), self.hparams["shots"], self.queries(split)
        y = torch.arange(ways).expand(len(index), ways)
        episode = Episode(
            support_x=scale(x[:, :, :shots]),
            support_y=y.repeat_interleave(shots, 1),
            query_x=scale(x[:, :, shots:]),
            query_y=y.repeat_interleave(queries, 1),
            index=torch.from_numpy(np.asarray(index, np.int64)),
            class_numbers=torch.from_numpy(self._class_numbers(split, image, turns)),
        )
        return self.augmented(split, episode)

    def ways(self, split: str) -> int:
        """Classes in an episode."""
        more = self.hparams["train_ways"] if split == "train" else None
        return self.hparams["ways"] if more is None else more

    def queries(self, split: str) -> int:
        """Query images of a class."""
        return self.hparams["queries"]

    def draw(self, split: str, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which images are in an episode, and how they are turned.

        Returns:
            ``[tasks, ways, shots + queries]`` numbers of images of the split, support first, and
            ``[tasks, ways]`` quarters of a circle.
        """
        classes = self.classes(split)
        ways, rows = self.ways(split), self.hparams["shots"] + self.queries(split)
        key = counter_random.stream(*self.stream_names(split))
        u = counter_random.uniform(key, index, 2 * ways * (1 + rows))
        picked = counter_random.choose(u[:, : 2 * ways], len(classes.start) * self._turns(split))
        picked, turns = picked % len(classes.start), picked // len(classes.start)
        u = u[:, 2 * ways :].reshape(len(index), ways, 2 * rows)
        chosen = counter_random.choose(u, classes.count[picked])
        return classes.start[picked][..., None] + chosen, turns

    def class_count(self, split: str) -> int:
        """How many classes the episodes of a split are drawn from, those turned included."""
        return len(self.classes(split).start) * self._turns(split)

    def class_names(self, split: str) -> list[str]:
        """What these classes are called, in the order of their numbers."""
        names = self.classes(split).names
        turned = [f"{n}, turned {90 * k}" for k in range(1, self._turns(split)) for n in names]
        return [*names, *turned]

    def _class_numbers(self, split: str, image: np.ndarray, turns: np.ndarray) -> np.ndarray:
        """``[tasks, ways]``: a class turned by k quarters comes k times all classes later."""
        start = self.classes(split).start
        order = start.argsort()
        within = np.searchsorted(start[order], image[..., 0], "right") - 1
        return order[within] + turns * len(start)

    def _turns(self, split: str) -> int:
        rotations = self.hparams["rotations"]
        return 4 if rotations == "all" or (rotations == "train" and split == "train") else 1


def turn(images: np.ndarray, quarters: np.ndarray) -> np.ndarray:
    """Turns images counter-clockwise by quarters of a circle.

    Args:
        images: ``[tasks, ways, rows, channels, height, width]``, a fresh array; changed in place.
        quarters: ``[tasks, ways]``, 0 to 3.
    """
    for k in range(1, 4):
        chosen = quarters == k
        if chosen.any():
            images[chosen] = np.rot90(images[chosen], k, axes=(-2, -1))
    return images


def scale(images: np.ndarray) -> torch.Tensor:
    """Bytes to numbers in 0..1, as a network takes them.

    Args:
        images: ``[tasks, ways, rows, channels, height, width]`` uint8.

    Returns:
        ``[tasks, ways * rows, channels, height, width]`` of the default floating type.
    """
    white = torch.tensor(255.0).numpy()
    return torch.from_numpy(np.divide(images, white, order="C")).flatten(1, 2)
