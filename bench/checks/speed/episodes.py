"""How long it takes to load a packed cache and to assemble episodes from it, on one core."""

import functools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from bench.data.images import packed
from bench.data.images.episodes import ImageEpisodeDataModule
from bench.data.mini_imagenet import MiniImageNetDataModule
from bench.data.omniglot import DRAWINGS, SIDE, OmniglotDataModule, characters

EPISODES = 30  # timed calls in a round
LOADS = 3
MINI = {"train": 64, "val": 16, "test": 20}, 600, (84, 84, 3)


def measure(rounds: int) -> list[dict]:
    """Times both on caches of random bytes, as large as miniImageNet and Omniglot.

    They lie in a temporary folder (1.3 GB) while it is measured.

    Args:
        rounds: turns of :data:`EPISODES` calls.

    Returns:
        One row for each thing: ``what``, the ``aim_ms``, and of every call the ``seconds`` by the
        clock and the ``core_seconds`` that this process worked in them.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _measure(Path(folder), rounds)
    finally:
        torch.set_num_threads(threads)


def _measure(root: Path, rounds: int) -> list[dict]:
    classes, count, shape = MINI
    names = [f"{split}/{i}" for split, several in classes.items() for i in range(several)]
    mini = MiniImageNetDataModule(ways=5, shots=5, queries=15, data_root=root)
    cache = mini.image_set.cache(root)
    _write(cache, names, count, shape)
    omniglot = OmniglotDataModule(ways=5, shots=1, queries=15, data_root=root)
    drawn = [name for several in characters("lake").values() for name in several]
    _write(root / "omniglot.packed", drawn, DRAWINGS, (SIDE, SIDE, 1))
    rows = [_timed("load a cache of 60,000 images of 84x84", 2000, _loads(mini, cache))]
    packed.check(cache, "")  # from here on the file is in memory, as after the first minutes
    return [
        *rows,
        _timed("one episode, 5-way 5-shot 15 queries, 84x84", 2, _draws(mini, 1, rounds)),
        _timed(
            "32 episodes of Omniglot, 5-way 1-shot 15 queries, turned",
            5,
            _draws(omniglot, 32, rounds),
        ),
    ]


def _write(path: Path, names: list[str], count: int, shape: tuple[int, int, int]) -> None:
    random = np.random.default_rng(0)
    with packed.writing(path, (len(names) * count, *shape), names, [count] * len(names)) as put:
        for row in range(len(names) * count):
            put(row, random.integers(0, 256, shape, np.uint8))


def _loads(data: MiniImageNetDataModule, cache: Path) -> Iterator[Callable]:
    for _ in range(LOADS):
        if hasattr(os, "posix_fadvise"):  # has the file read from the disk again
            with cache.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        yield lambda: data.load("train")


def _draws(data: ImageEpisodeDataModule, tasks: int, rounds: int) -> Iterator[Callable]:
    data.episodes("train", np.arange(tasks))  # opens the cache
    for index in np.arange(rounds * EPISODES * tasks).reshape(-1, tasks):
        yield functools.partial(data.episodes, "train", index)


def _timed(what: str, aim_ms: float, calls: Iterator[Callable]) -> dict:
    row = {"what": what, "aim_ms": aim_ms, "seconds": [], "core_seconds": []}
    for call in calls:
        begin = time.perf_counter(), time.process_time()
        call()
        row["seconds"].append(time.perf_counter() - begin[0])
        row["core_seconds"].append(time.process_time() - begin[1])
    return row
