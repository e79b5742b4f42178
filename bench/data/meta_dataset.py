"""Meta-Dataset: episodes of any size from several sources; train on some, test on others."""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.base import checksums, paths
from bench.base.errors import BenchError
from bench.data.images.augmented import AugmentedEpisodes
from bench.data.images.episodes import scale
from bench.data.sources import sampling, writing
from bench.data.sources.sampling import Composition, Pool, Sampling
from bench.data.sources.source import Source
from bench.tasks import counter_random
from bench.tasks.data_module import SPLITS
from bench.tasks.episode import Episode, MetaBatch, TaskSpec, View

DEFAULT = Sampling()  # as in Meta-Dataset
PREPARE = "maml-bench prepare meta_dataset --from NAME --source PATH"


class MetaDatasetDataModule(AugmentedEpisodes):
    """Episodes as Triantafillou et al. 2020 draw them: ways, shots and sources vary.

    An episode is of one source. Training episodes take one of ``train_datasets`` at random, all
    alike; validation goes through them in turn, and every test source has ``test_episodes`` of its
    own and a row of its own in tables. A batch is a list of tasks of different shapes, or with
    ``ways`` and ``shots`` given an ordinary one.

    Args:
        train_datasets: sources to train and validate on: names of folders of records.
        test_datasets: sources to test on; None: those of training.
        ways: classes in an episode; None: drawn as in Meta-Dataset, from one super-class or below
            one node of the graph where the source has such.
        shots: support images of a class; None: drawn, unequal.
        queries: most query images of a class.
        min_ways: fewest classes, where they are drawn.
        max_ways: most classes, where they are drawn.
        max_support: most support images of an episode, where they are drawn.
        max_support_of_class: most that one class adds to the size of the support set.
        side: pixels of a side, to which images are resized.
        records: folder with a folder of records for each source; None: ``meta_dataset`` in
            ``data_root``, where ``maml-bench prepare`` writes them.
        data_root: folder of prepared data; see :func:`bench.base.paths.data_root`.
        **kwargs: see :class:`bench.data.images.augmented.AugmentedEpisodes`.
    """

    kind = "classification"

    def __init__(
        self,
        train_datasets: Sequence[str] = ("omniglot",),
        test_datasets: Sequence[str] | None = None,
        ways: int | None = None,
        shots: int | None = None,
        queries: int = DEFAULT.queries,
        min_ways: int = DEFAULT.min_ways,
        max_ways: int = DEFAULT.max_ways,
        max_support: int = DEFAULT.max_support,
        max_support_of_class: int = DEFAULT.max_support_of_class,
        side: int = 84,
        records: str | None = None,
        data_root: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        for name in ("train_datasets", "test_datasets"):
            given = self.hparams[name]
            if given is not None or name == "train_datasets":
                self.hparams[name] = _names(name, given)
        if self.hparams["records"] is not None:
            self.hparams["records"] = str(self.hparams["records"])
        least = {"queries": 1, "min_ways": 2, "max_support_of_class": 1, "side": 1}
        least |= {name: 2 for name in ("ways",) if ways is not None}
        least |= {name: 1 for name in ("shots",) if shots is not None}
        for name, value in (least | {"max_ways": min_ways}).items():
            self.require_at_least(name, value)
        self.require_at_least("max_support", self.sampling.most_ways)

    @cached_property
    def sampling(self) -> Sampling:
        """How episodes are composed."""
        fields = [name for name in Sampling._fields if name in self.hparams]
        return Sampling(**{name: self.hparams[name] for name in fields})

    @property
    def spec(self) -> TaskSpec:
        """Classification of images into as many classes as an episode has."""
        side, ways = self.hparams["side"], self.hparams["ways"]
        shape = (3, side, side)
        return TaskSpec(self.kind, shape, self.sampling.most_ways, varying_ways=ways is None)

    def sources(self, split: str) -> list[str]:
        """The names of a split's sources."""
        train = self.hparams["train_datasets"]
        return (self.hparams["test_datasets"] or train) if split == "test" else train

    def listed(self, split: str) -> int:
        """How many episodes the list of validation or test has, all sources together."""
        length = self.hparams[f"{split}_episodes"]
        return length * len(self.sources("test")) if split == "test" else length

    def views(self, split: str) -> list[View]:
        """One stretch of the test list for each source."""
        if split != "test":
            return []
        length = self.hparams["test_episodes"]
        return [
            View(self.hparams["shots"], i * length, length, name)
            for i, name in enumerate(self.sources(split))
        ]

    def setup(self, stage: str) -> None:
        """Opens the sources that a stage needs, so that what is wrong is said before it starts."""
        splits = {"fit": ("train", "val"), "validate": ("val",)}.get(stage, ("test",))
        for split in splits:
            for name in self.sources(split):
                self._pool(split, name)

    def episodes(self, split: str, index: np.ndarray) -> MetaBatch:
        """Draws episodes.

        Returns:
            With ``ways`` and ``shots`` given, and classes large enough for all ``queries``, one
            batch. Otherwise a list of batches of one task each, ``support_x: [1, support, 3, side,
            side]`` float32 in 0..1; rows are ordered by class.
        """
        tasks = [self._episode(split, int(i)) for i in index]
        alike = len({(t.support_x.shape, t.query_x.shape) for t in tasks}) == 1
        fixed = self.hparams["ways"] is not None and self.hparams["shots"] is not None
        batch: MetaBatch = tasks
        if fixed and alike:
            batch = Episode(*(None if v[0] is None else torch.cat(v) for v in zip(*tasks)))
        return self.augmented(split, batch)

    def class_count(self, split: str) -> int:
        """How many classes the sources of a split have, all together."""
        return sum(len(self._opened(name).spec.classes[split]) for name in self.sources(split))

    def class_names(self, split: str) -> list[str]:
        """What these classes are called, each after its source."""
        specs = [(name, self._opened(name).spec) for name in self.sources(split)]
        return [f"{name}/{spec.names[n]}" for name, spec in specs for n in spec.classes[split]]

    def _class_numbers(self, split: str, name: str, classes: np.ndarray) -> np.ndarray:
        """Numbers of a source's classes among those of all sources, one source after the other."""
        names = self.sources(split)
        own, *before = (
            self._opened(n).spec.classes[split] for n in (name, *names[: names.index(name)])
        )
        return classes - own[0] + sum(map(len, before))  # a split's are numbered in one stretch

    @property
    def checksum(self) -> str:
        """Of the specifications and of the length of every file; records hold one of their own."""
        used: dict[str, list[str]] = {}
        for split in SPLITS:
            for name in self.sources(split):
                used.setdefault(name, []).append(split)
        return checksums.digest(
            part for name in sorted(used) for part in self._opened(name).identity(used[name])
        )

    def composition(self, split: str, index: int) -> tuple[str, Composition]:
        """The source of an episode, its classes, and how many images of each it has."""
        name, within = self._place(split, index)
        key = counter_random.stream(*self.stream_names(split), name, "composition")
        u = counter_random.uniform(key, [within], self.sampling.draws)[0]
        return name, sampling.compose(self._pool(split, name), u, self.sampling)

    def _place(self, split: str, index: int) -> tuple[str, int]:
        """The source of an episode and its number there, which no other source changes."""
        names = self.sources(split)
        if split == "train":
            key = counter_random.stream(*self.stream_names(split), "source")
            return names[int(counter_random.uniform(key, [index], 1)[0, 0] * len(names))], index
        if split == "val":
            return names[index % len(names)], index // len(names)
        source, within = divmod(index, self.hparams["test_episodes"])
        return names[source], within

    def _episode(self, split: str, index: int) -> Episode:
        name, (classes, shots, queries) = self.composition(split, index)
        source, within = self._opened(name), self._place(split, index)[1]
        key = counter_random.stream(*self.stream_names(split), name, "images")
        u = counter_random.uniform(key, [within], int(2 * (shots + queries).sum()))[0]
        support, query = [], []
        for number, shot in zip(map(int, classes), map(int, shots)):
            own, u = u[: 2 * (shot + queries)], u[2 * (shot + queries) :]
            places = counter_random.choose(own, source.spec.images[number])
            images = [source.image(number, int(p)) for p in places]
            support += images[:shot]
            query += images[shot:]
        labels = torch.arange(len(classes))
        return Episode(
            support_x=_rows(support),
            support_y=labels.repeat_interleave(torch.from_numpy(shots))[None],
            query_x=_rows(query),
            query_y=labels.repeat_interleave(queries)[None],
            index=torch.tensor([index]),
            class_numbers=torch.from_numpy(self._class_numbers(split, name, classes))[None],
        )

    def _opened(self, name: str) -> Source:
        if name not in self._sources:
            root = self.hparams["records"]
            folder = _records(self.hparams["data_root"]) if root is None else Path(root)
            remedy = f"run `{PREPARE}`, or give records="
            self._sources[name] = Source(folder / name, self.hparams["side"], remedy)
        return self._sources[name]

    def _pool(self, split: str, name: str) -> Pool:
        if (split, name) not in self._pools:
            source = self._opened(name)
            pool = sampling.pool(source.spec, split, self.sampling)
            source.check(split)
            self._pools[split, name] = pool
        return self._pools[split, name]

    @cached_property
    def _sources(self) -> dict[str, Source]:
        return {}

    @cached_property
    def _pools(self) -> dict[tuple[str, str], Pool]:
        return {}


def prepare(
    source: Path | None = None, data_root: Path | None = None, origin: str | None = None
) -> str:
    """Writes the records of one source, in Meta-Dataset's own format.

    Args:
        source: a folder or archive of images.
        data_root: where to write; see :func:`bench.base.paths.data_root`.
        origin: the data set that it holds, or a folder of class folders.

    Returns:
        What was found and written, in sentences.

    Raises:
        BenchError: see :func:`bench.data.sources.writing.write`.
    """
    return writing.convert(origin, source, _records(data_root))


def _records(data_root: Path | str | None) -> Path:
    return paths.data_root(data_root) / "meta_dataset"


def _rows(images: list[np.ndarray]) -> torch.Tensor:
    """``[1, rows, 3, side, side]`` in 0..1."""
    return scale(np.moveaxis(np.stack(images), -1, 1)[None, None])


def _names(argument: str, given: Any) -> list[str]:
    names = [given] if isinstance(given, str) else list(given)
    wrong = [n for n in names if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", str(n))]
    if wrong or not names:
        raise BenchError(
            f"{argument}={given!r}: give the names of folders of records, such as omniglot"
        )
    if len(set(names)) < len(names):
        raise BenchError(f"{argument}={given!r}: names a source twice")
    return names
