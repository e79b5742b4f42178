"""From a folder or archive in some layout to the packed cache: what every image set goes through.

A data set says what is known of it (:class:`ImageSet`); the layout is found by looking
(:mod:`bench.data.images.layouts`), checked, decoded, resized and written.
"""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
from bench.data.images import collection, decoding, duplicates, layouts, packed
from bench.data.images.collection import Collection
from bench.data.images.decoding import Decoded
from bench.tasks.data_module import SPLITS

MODES = {1: "L", 3: "RGB"}


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
        download: fetches it into a folder and gives the file; also takes the end of an error
            message. None: it is not downloaded.
        upright: whether images are turned as their EXIF orientation says; published results take
            them as they are stored.
        writes_splits: whether the splits are written beside the cache, for sets that bring none.
    """

    name: str
    title: str
    side: int
    channels: int
    standard: dict[str, tuple[int, int]] | None
    layouts: tuple[ModuleType, ...]
    no_download: str = ""
    download: Callable[[Path, str], Path] | None = None
    upright: bool = False
    writes_splits: bool = False

    @property
    def remedy(self) -> str:
        """The end of an error message: how the set is prepared, and what PATH may be."""
        command = f"maml-bench prepare {self.name} --source PATH"
        return f"run `{command}`; {layouts.understood(self.layouts)}"

    def cache(self, data_root: Path | str | None) -> Path:
        """The packed file."""
        return paths.data_root(data_root) / f"{self.name}.packed"

    def prepare(self, source: Path | None = None, data_root: Path | None = None) -> str:
        """Packs the images of a folder or archive, whatever layout they come in.

        Args:
            source: a folder, zip or tar in one of its layouts; None: it is downloaded.
            data_root: where to write; see :func:`bench.base.paths.data_root`.

        Returns:
            What was found and written, in sentences.

        Raises:
            BenchError: if it cannot be downloaded, the layout is not understood, an image is
                missing or damaged, or a class is in two splits; nothing is written then.
        """
        if source is None and self.download is None:
            raise BenchError(f"{self.no_download}: {self.remedy}")
        packed.check_writable(self.cache(data_root))
        with ExitStack() as stack:
            if source is None:
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                source = self.download(Path(folder), self.remedy)
            tree = stack.enter_context(archives.opened(Path(source)))
            images = layouts.detect(tree, self.layouts)
            report = pack(self, images, tree.where, self.cache(data_root))
        return f"{report} {write_splits(self, data_root)}" if self.writes_splits else report

    def count(self, source: Path) -> dict[str, np.ndarray]:
        """How many images each class of a folder or archive has, by split; none is decoded.

        Raises:
            BenchError: as in :meth:`prepare`.
        """
        with archives.opened(Path(source)) as tree:
            images = layouts.detect(tree, self.layouts).images
            collection.check_splits(tree.where, images)
        number = Counter(image[:2] for image in images)
        return {s: np.array([n for (own, _), n in number.items() if own == s]) for s in SPLITS}


def pack(image_set: ImageSet, found: Collection, where: Path | str, cache: Path) -> str:
    """Checks, decodes, resizes and writes a collection.

    Args:
        image_set: what is known of the set.
        found: the images.
        where: they come from, for messages.
        cache: the file to write.

    Returns:
        What was found and written, in sentences.

    Raises:
        BenchError: as in :meth:`ImageSet.prepare`.
    """
    collection.check_splits(where, found.images)
    order = collection.order(found.images)
    row = np.empty(len(order), np.int64)
    row[order] = np.arange(len(order))
    # in order of appearance, which is that of the rows
    classes = Counter("/".join(found.images[number][:2]) for number in order)
    shape = len(order), image_set.side, image_set.side, image_set.channels
    digests, resized, changes = [b""] * len(order), 0, decoding.Changes()
    with (
        packed.writing(cache, shape, list(classes), list(classes.values())) as put,
        progress(image_set.title, len(order)) as advance,
    ):
        for number, content in found.stream():
            name = found.images[number].name
            image, is_as_stored, changed = resize(content, image_set, f"{where}: {name}")
            put(int(row[number]), image)
            changes.add(changed, name)
            digests[number] = hashlib.blake2b(image, digest_size=16).digest()
            resized += not is_as_stored
            advance()
        notes = [*found.notes, *changes.notes(), *duplicates.find(where, found, digests)]
    side = image_set.side
    if resized:
        size = f"{side}x{side} {MODES[image_set.channels]}"
        notes.append(f"{resized:,} images were not {size} and were resized or converted.")
    return " ".join(
        [
            f"Found {found.layout} in {where}: {_counts(image_set, found)}.",
            *notes,
            f"Wrote {len(order):,} images of {side}x{side} to {cache}.",
        ]
    )


def write_splits(image_set: ImageSet, data_root: Path | None) -> str:
    """Writes beside the packed cache which class is in which split, for sets that bring none.

    Returns:
        Where, in a sentence.
    """
    cache = image_set.cache(data_root)
    splits: dict[str, list[str]] = {}
    for name in packed.read(cache, image_set.remedy).names:
        split, _, label = name.partition("/")
        splits.setdefault(split, []).append(label)
    written = cache.with_suffix(".splits.json")
    # in ASCII, since the name of a folder need not be text in UTF-8
    write_text(written, json.dumps(splits, indent=1) + "\n")
    return f"The splits are in {written}: put a copy into the folder as splits.json to keep them."


def resize(
    content: bytes | np.ndarray, image_set: ImageSet, name: str
) -> tuple[np.ndarray, bool, tuple[str, ...]]:
    """Decodes and resizes an image as it is packed.

    Args:
        content: an image file, or its pixels.
        image_set: size, number of channels, and whether images are turned upright.
        name: for messages.

    Returns:
        ``[height, width, channels]`` uint8, whether colours and size are those that were stored,
        and what else was changed: keys of :data:`bench.data.images.decoding.CHANGES`.

    Raises:
        BenchError: names the image, if it cannot be decoded.
    """
    shape = image_set.side, image_set.side, image_set.channels
    mode = MODES[image_set.channels]
    if isinstance(content, np.ndarray) and content.dtype == np.uint8 and content.shape == shape:
        return np.ascontiguousarray(content), True, ()
    image, changes = decode(content, name, image_set.upright)
    is_as_stored = image.mode == mode and image.size == shape[:2]
    if not is_as_stored:
        image = decoding.convert(image, mode, name)
        if image.size != shape[:2]:
            image = image.resize(shape[:2], Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(shape), is_as_stored, changes


def decode(content: bytes | np.ndarray, name: str, upright: bool) -> Decoded:
    """Decodes what a reader gives.

    Args:
        content: an image file, or its pixels, ``[height, width, channels]`` or ``[height, width]``.
        name: for messages.
        upright: whether an image is turned as its EXIF orientation says.

    Raises:
        BenchError: names the image, if it cannot be decoded or is none.
    """
    if not isinstance(content, np.ndarray):
        return decoding.decode(content, name, upright)
    if content.dtype != np.uint8 or 0 in content.shape:
        raise BenchError(f"{name}: {content.dtype} of shape {content.shape}, not uint8 pixels")
    try:
        pixels = content.squeeze(-1) if content.shape[2:] == (1,) else content
        return Decoded(Image.fromarray(pixels), ())
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


def _counts(image_set: ImageSet, found: Collection) -> str:
    words, standard = collection.counts_in_words(found.images), image_set.standard
    if standard is None:
        return words
    if collection.counts(found.images) == standard:
        return f"{words}, as in the standard {image_set.title}"
    classes = "/".join(str(standard[split][0]) for split in SPLITS)
    images = "/".join(f"{standard[split][1]:,}" for split in SPLITS)
    return (
        f"{words}; this is NOT the standard {image_set.title}, which has {classes} classes and "
        f"{images} images: published numbers do not apply"
    )
