"""From a folder or archive in some layout to the packed cache: what every image set goes through.

A data set says what is known of it (:class:`ImageSet`); the layout is found by looking
(:mod:`bench.data.images.layouts`), checked, decoded, resized and written.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench.base import archives, paths
from bench.base.errors import BenchError
from bench.base.paths import write_text
from bench.data.images import collection, layouts, packed
from bench.data.images.collection import Collection
from bench.tasks.data_module import SPLITS

MODES = {1: "L", 3: "RGB"}
# A published set may hold a few images in two splits, and its numbers are with them; more is a
# class under two names, or a split copied into another.
MOST_SHARED = 0.01  # of the images of a split
FEW_SHARED = 10  # images, however small the split


class ImageSet(NamedTuple):
    """What is known of a set of images before its files are seen.

    Attributes:
        name: on the command line, and of the cache.
        title: as people call it.
        side: pixels of a side, as packed.
        channels: 1 or 3.
        standard: (classes, images) of each split in the published set; None: there is none.
        layouts: modules of :mod:`bench.data.images.layouts`, in the order in which they are tried.
        no_download: why it is not downloaded, as the beginning of a message.
    """

    name: str
    title: str
    side: int
    channels: int
    standard: dict[str, tuple[int, int]] | None
    layouts: tuple[ModuleType, ...]
    no_download: str

    @property
    def remedy(self) -> str:
        """The end of an error message: how the set is prepared, and what PATH may be."""
        command = f"maml-bench prepare {self.name} --source PATH"
        return f"run `{command}`; {layouts.understood(self.layouts)}"

    def cache(self, data_root: Path | str | None) -> Path:
        """The packed file."""
        return paths.data_root(data_root) / f"{self.name}.packed"


def prepare(known: ImageSet, source: Path | None, data_root: Path | None) -> str:
    """Packs the images of a folder or archive, whatever layout they come in.

    Args:
        known: what is known of the set.
        source: a folder, zip or tar in one of its layouts.
        data_root: where to write; see :func:`bench.base.paths.data_root`.

    Returns:
        What was found and written, in sentences.

    Raises:
        BenchError: if the layout is not understood, an image is missing or damaged, or a class is
            in two splits; nothing is written then.
    """
    if source is None:
        raise BenchError(f"{known.no_download}: {known.remedy}")
    packed.check_writable(known.cache(data_root))
    with archives.opened(Path(source)) as tree:
        found = layouts.detect(tree, known.layouts)
        return pack(known, found, tree.where, known.cache(data_root))


def pack(known: ImageSet, found: Collection, where: Path | str, cache: Path) -> str:
    """Checks, decodes, resizes and writes a collection.

    Args:
        known: what is known of the set.
        found: the images.
        where: they come from, for messages.
        cache: the file to write.

    Returns:
        What was found and written, in sentences.

    Raises:
        BenchError: as in :func:`prepare`.
    """
    collection.check_splits(where, found.images)
    order = collection.order(found.images)
    row = np.empty(len(order), np.int64)
    row[order] = np.arange(len(order))
    # in order of appearance, which is that of the rows
    classes = Counter("/".join(found.images[number][:2]) for number in order)
    shape = len(order), known.side, known.side, known.channels
    digests, resized = [b""] * len(order), 0
    with (
        packed.writing(cache, shape, list(classes), list(classes.values())) as put,
        progress(known.title, len(order)) as advance,
    ):
        for number, content in found.stream():
            image, as_stored = fitted(content, known, f"{where}: {found.images[number].name}")
            put(int(row[number]), image)
            digests[number] = hashlib.blake2b(image, digest_size=16).digest()
            resized += not as_stored
            advance()
        notes = [*found.notes, *duplicates(where, found, digests)]
    if resized:
        size = f"{known.side}x{known.side} {MODES[known.channels]}"
        notes.append(f"{resized:,} images were not {size} and were resized or converted.")
    return " ".join(
        [
            f"Found {found.layout} in {where}: {_counts(known, found)}.",
            *notes,
            f"Wrote {len(order):,} images of {known.side}x{known.side} to {cache}.",
        ]
    )


def write_splits(known: ImageSet, data_root: Path | None) -> str:
    """Writes beside the packed cache which class is in which split, for sets that bring none.

    Returns:
        Where, in a sentence.
    """
    cache = known.cache(data_root)
    splits: dict[str, list[str]] = {}
    for name in packed.read(cache, known.remedy).names:
        split, _, label = name.partition("/")
        splits.setdefault(split, []).append(label)
    written = cache.with_suffix(".splits.json")
    # in ASCII, since the name of a folder need not be text in UTF-8
    write_text(written, json.dumps(splits, indent=1) + "\n")
    return f"The splits are in {written}: put a copy into the folder as splits.json to keep them."


def fitted(content: bytes | np.ndarray, known: ImageSet, name: str) -> tuple[np.ndarray, bool]:
    """An image as it is packed.

    Args:
        content: an image file, or its pixels.
        known: the size and the number of channels.
        name: for messages.

    Returns:
        ``[height, width, channels]`` uint8, and whether nothing had to be changed.

    Raises:
        BenchError: names the image, if it cannot be decoded.
    """
    shape, mode = (known.side, known.side, known.channels), MODES[known.channels]
    if isinstance(content, np.ndarray) and content.dtype == np.uint8 and content.shape == shape:
        return np.ascontiguousarray(content), True
    image = as_image(content, name)
    as_stored = image.mode == mode and image.size == shape[:2]
    if not as_stored:
        image = image.convert(mode)
        if image.size != shape[:2]:
            image = image.resize(shape[:2], Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(shape), as_stored


def as_image(content: bytes | np.ndarray, name: str) -> Image.Image:
    """What a reader gives, as an image.

    Args:
        content: an image file, or its pixels, ``[height, width, channels]`` or ``[height, width]``.
        name: for messages.

    Raises:
        BenchError: names the image, if it cannot be decoded or is none.
    """
    if not isinstance(content, np.ndarray):
        return packed.decode(content, name)
    if content.dtype != np.uint8 or 0 in content.shape:
        raise BenchError(f"{name}: {content.dtype} of shape {content.shape}, not uint8 pixels")
    try:
        return Image.fromarray(content.squeeze(-1) if content.shape[2:] == (1,) else content)
    except (TypeError, ValueError) as error:
        raise BenchError(f"{name}: shape {content.shape} is no image") from error


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr, which is closed before an error message is printed.

    Yields:
        A function to call after each of ``total`` steps.
    """
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)


def _counts(known: ImageSet, found: Collection) -> str:
    said = collection.counted(found.images)
    if known.standard is None:
        return said
    if collection.counts(found.images) == known.standard:
        return f"{said}, as in the standard {known.title}"
    classes = "/".join(str(known.standard[split][0]) for split in SPLITS)
    images = "/".join(f"{known.standard[split][1]:,}" for split in SPLITS)
    return (
        f"{said}; this is NOT the standard {known.title}, which has {classes} classes and "
        f"{images} images: published numbers do not apply"
    )


def duplicates(where: Path | str, found: Collection, digests: list[bytes]) -> list[str]:
    """Looks for images with the same pixels.

    Returns:
        Notes.

    Raises:
        BenchError: if more than :data:`MOST_SHARED` of a split's images, and more than
            :data:`FEW_SHARED`, are in another one too.
    """
    first: dict[bytes, int] = {}
    within, shared, example = 0, {}, {}
    for number, digest in enumerate(digests):
        earlier = found.images[first.setdefault(digest, number)]
        image = found.images[number]
        if earlier is image:
            continue
        if earlier.split == image.split:
            within += 1
            continue
        pair = tuple(sorted((earlier.split, image.split), key=SPLITS.index))
        shared[pair] = shared.get(pair, 0) + 1
        example.setdefault(pair, f"{earlier.name} and {image.name}")
    counts = collection.counts(found.images)
    notes = []
    for (a, b), count in shared.items():
        said = f"{count:,} images of {b} are in {a} too, pixel by pixel, such as {example[a, b]}"
        if count > max(MOST_SHARED * min(counts[a][1], counts[b][1]), FEW_SHARED):
            raise BenchError(f"{where}: {said}: this is no split; nothing was written")
        notes.append(f"CAUTION: {said}.")
    if within:
        notes.append(f"{within:,} images occur more than once within their split.")
    return notes
