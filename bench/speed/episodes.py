"""How long it takes to load a packed cache and to assemble episodes from it, on one core."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from bench.data.mini_imagenet import MiniImageNetDataModule
from bench.data.omniglot import DRAWINGS, SIDE, OmniglotDataModule, characters
from bench.images import packed
from bench.images.episodes import ImageEpisodeDataModule

EPISODES = 30  # timed calls in a round
LOADS = 3
MINI = {"train": 64, "val": 16, "test": 20}, 600, (84, 84, 3)


def measure(rounds: int) -> list[dict]:
    """Times both on caches of random bytes, as large as miniImageNet and Omniglot.

    They lie in a temporary folder (1.3 GB) while it is measured.

    Args:
        rounds: turns of :data:`EPISODES` calls.

    Returns:
        One row for each thing: ``what``, the ``aim_ms``, and every measured ``seconds``.
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
    cache = mini.known.cache(root)
    _write(cache, names, count, shape)
    omniglot = OmniglotDataModule(ways=5, shots=1, queries=15, data_root=root)
    drawn = [name for several in characters("lake").values() for name in several]
    _write(root / "omniglot.packed", drawn, DRAWINGS, (SIDE, SIDE, 1))
    loads = []
    for _ in range(LOADS):
        _forget(cache)
        loads.append(_seconds(lambda: mini.load("train")))
    packed.check(cache, "")  # from here on the file is in memory, as after the first minutes
    return [
        {"what": "load a cache of 60,000 images of 84x84", "aim_ms": 2000, "seconds": loads},
        {
            "what": "one episode, 5-way 5-shot 15 queries, 84x84",
            "aim_ms": 2,
            "seconds": _episodes(mini, 1, rounds),
        },
        {
            "what": "32 episodes of Omniglot, 5-way 1-shot 15 queries, turned",
            "aim_ms": 5,
            "seconds": _episodes(omniglot, 32, rounds),
        },
    ]


def _write(path: Path, names: list[str], count: int, shape: tuple[int, int, int]) -> None:
    random = np.random.default_rng(0)
    with packed.writing(path, (len(names) * count, *shape), names, [count] * len(names)) as put:
        for row in range(len(names) * count):
            put(row, random.integers(0, 256, shape, np.uint8))


def _forget(path: Path) -> None:
    """Has a file read from the disk again, where the system can be asked to."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _episodes(data: ImageEpisodeDataModule, tasks: int, rounds: int) -> list[float]:
    data.episodes("train", np.arange(tasks))  # opens the cache
    batches = np.arange(rounds * EPISODES * tasks).reshape(-1, tasks)
    return [_seconds(lambda: data.episodes("train", index)) for index in batches]  # noqa: B023


def _seconds(call: Callable) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
