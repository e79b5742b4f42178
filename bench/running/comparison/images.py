"""Images in classes: how many ways and shots there can be."""

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from bench.base import paths, registry
from bench.base.errors import BenchError
from bench.running.comparison.source import Source, counted, named, short
from bench.tasks.data_module import SPLITS, EpisodeDataModule

WAYS, SHOTS, QUERIES = 5, (1, 5), 5
PARTS = {"train": "training", "val": "validation", "test": "testing"}
TEST_EPISODES = 300


def read_folder(
    folder: Path, out: Path, ways: int | None, shots: Sequence[int] | None, packs: bool = True
) -> Source:
    """Packs the images of a folder, unless that was done and nothing has changed since.

    Args:
        folder: with a folder of images for each class.
        out: the results folder.
        ways: asked for by the user, see :func:`read`.
        shots: likewise.
        packs: whether images are packed; otherwise they are counted, which is enough for a plan.

    Raises:
        BenchError: if the images cannot be read, or are too few.
    """
    name, module = named(folder.resolve().name), _module()
    root = out / "compare" / name
    packed, note = cache(root), root / "packed-from.txt"
    said, state = f"Read {folder}, packed before in {packed}.", _state(folder)
    if not packed.exists() or not note.exists() or note.read_text(errors="replace") != state:
        if not packs:
            said = (f"Counted the images in {folder}; none is read or packed yet.",)
            shape = (module.IMAGE_SET.channels, *2 * (module.IMAGE_SET.side,))
            counts = module.IMAGE_SET.count(folder)
            return _source("image_folder", name, ways, shots, root, said, counts, shape, "")
        said = module.prepare(folder, root)
        paths.write_text(note, state)
    return read("image_folder", name, ways, shots, root, (said,))


def cache(data_root: Path | None) -> Path:
    """Where the images of a folder are packed."""
    return _module().IMAGE_SET.cache(data_root)


def _module() -> ModuleType:
    return importlib.import_module(registry.module_name("data", "image_folder"))


def _state(folder: Path) -> str:
    """A checksum of which folder it is, and of the names, sizes and times of all that is in it."""
    folder = folder.resolve()
    found = [str(folder)]
    for path in sorted(folder.rglob("*")):
        stat = path.lstat()
        found.append(f"{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(found).encode(errors="surrogateescape")).hexdigest() + "\n"


def read(
    dataset: str,
    name: str,
    ways: int | None,
    shots: Sequence[int] | None,
    root: Path | None,
    said: tuple[str, ...] = (),
) -> Source:
    """The source of a set of images.

    Args:
        dataset: its data set.
        name: of the comparison.
        ways: asked for by the user; None: 5, or as many as there are.
        shots: likewise; None: 1 and 5, if classes have as many images.
        root: folder of prepared data; None: the usual one.
        said: what is known of it already, in sentences.

    Raises:
        BenchError: if it is not prepared, or too small for what was asked for.
    """
    takes = registry.option_names("data", dataset)
    rooted = {"data_root": str(root)} if root and "data_root" in takes else {}
    made: EpisodeDataModule = registry.create("data", dataset, **rooted)
    counts = {split: np.asarray(made.load(split).count) for split in SPLITS}
    own = counts, made.image_shape, made.checksum
    return _source(dataset, name, ways, shots, root, said, *own)


def _source(
    dataset: str,
    name: str,
    ways: int | None,
    shots: Sequence[int] | None,
    root: Path | None,
    said: tuple[str, ...],
    counts: Mapping[str, np.ndarray],
    shape: Sequence[int],
    checksum: str,
) -> Source:
    """The same from how many images each class of a split has."""
    number = {split: len(found) for split, found in counts.items()}
    fewest = min(number.values())
    if fewest < 2:
        words = ", ".join(f"{n} for {split}" for split, n in number.items())
        raise BenchError(
            f"{name}: {sum(number.values())} classes ({words}): each of training, validation and "
            "test needs two or more, as classes that are tested are not those that are trained on"
        )
    smallest = min(int(found.min()) for found in counts.values())
    if smallest < 2:
        raise BenchError(f"{name}: a class has one image: give each class two or more")
    if ways is not None and not 2 <= ways <= fewest:
        raise BenchError(
            f"--ways {ways}: a split of {name} has {fewest} classes: give 2 to {fewest}"
        )
    for shot in shots or ():
        if not 1 <= shot < smallest:
            raise BenchError(
                f"--shots {shot}: the smallest class of {name} has {smallest} images, and one at "
                f"least must be left to be told: give 1 to {smallest - 1}"
            )
    chosen = tuple(shots or [n for n in SHOTS if n + QUERIES <= smallest] or [1])
    queries = min(QUERIES, smallest - max(chosen))
    images = sum(int(found.sum()) for found in counts.values())
    parts = ", ".join(f"{number[split]} classes for {words}" for split, words in PARTS.items())
    return Source(
        name=name,
        suite=f"compare-{name}" + (f"-{short(checksum)}" if dataset == "image_folder" else ""),
        dataset=dataset,
        kind="classification",
        data={
            "queries": queries,
            "tasks_per_batch": 4,
            "val_episodes": 100,
            "test_episodes": TEST_EPISODES,
        },
        shots=chosen,
        ways=ways or min(WAYS, fewest),
        rows=(ways or min(WAYS, fewest)) * (max(chosen) + queries),
        inputs=int(np.prod(shape)),
        test_tasks=TEST_EPISODES,
        data_root=root,
        said=(
            *said,
            f"{name}: {sum(number.values())} classes, {images:,} images of "
            f"{'x'.join(map(str, shape[1:]))}, {smallest} or more in each; {parts}.",
            f"Episodes: {ways or min(WAYS, fewest)} classes that no training saw, "
            f"{counted(chosen, 'example')} of each shown, {counted(queries, 'other')} of each to "
            "tell.",
        ),
    )
