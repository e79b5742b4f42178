"""The packed cache: all images of a data set in one file that is written whole or not at all.

One line of JSON (readable with ``head -1``), then the pixels, uint8, class by class, channels
before rows and columns, as networks take them. The line holds a checksum of every block of pixels
and one of itself: :func:`read` looks at a few blocks, so that a file of any size opens at once,
:func:`check` at all of them.
"""

import errno
import json
import math
import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from bench.base import checksums, regular_files
from bench.base.errors import BenchError
from bench.base.paths import existing, explain_refusal, replacing
from bench.data.images.episodes import ImageClasses

try:
    import fcntl
except ImportError:  # Windows, which does not remove a file that somebody has open
    fcntl = None

_FORMAT = "maml-bench images 3"
BLOCK = 8 * 2**20  # bytes under one checksum
SAMPLED = 8  # blocks that are looked at when a cache is opened
_YOUNG = 60  # seconds in which an unfinished file may not yet be locked by its writer
_MOST_HEADER = 2**26
ANOTHER_FOLDER = "choose another with --data-root"

# Writing ------------------------------------------------------------------------------------------


def write(path: Path, classes: ImageClasses) -> None:
    """Writes a cache; until it is whole, the file does not exist, or is the old one.

    Raises:
        BenchError: if the folder cannot be written.
    """
    with writing(path, classes.images.shape, classes.names, classes.count.tolist()) as put:
        for row, image in enumerate(classes.images):
            put(row, image)


@contextmanager
def writing(
    path: Path, shape: tuple[int, int, int, int], names: list[str], count: list[int]
) -> Iterator[Callable[[int, np.ndarray], None]]:
    """Writes a cache image by image, in any order, without holding it in memory.

    When the block ends without an exception, the file takes its place; before, it does not exist,
    or is the old one. Several processes may do this at once: the last one's file stays.

    Args:
        path: the file.
        shape: ``(images, height, width, channels)``.
        names: of the classes.
        count: images of each class; those of a class are side by side.

    Yields:
        A function of a row and its image, ``[height, width, channels]`` uint8.

    Raises:
        BenchError: if the folder cannot be written, or the disk is full.
        ValueError: if an image has another shape or type, or one is missing at the end.
    """
    size, there = math.prod(shape[1:]), np.zeros(shape[0], bool)
    images, height, width, channels = shape
    stored = [images, channels, height, width]
    header = {"format": _FORMAT, "shape": stored, "count": count, "names": names}
    start = len(_seal(header, [0] * -(-shape[0] * size // BLOCK)))

    def put(row: int, image: np.ndarray) -> None:
        if image.shape != tuple(shape[1:]) or image.dtype != np.uint8:
            raise ValueError(f"image {row} is {image.dtype} {image.shape}, not uint8 {shape[1:]}")
        file.seek(start + row * size)
        file.write(np.ascontiguousarray(image.transpose(2, 0, 1)))
        there[row] = True

    check_writable(path)
    _remove_abandoned(path)
    refused = explain_refusal(path.parent, ANOTHER_FOLDER)
    with _no_empty_folder(path.parent), refused, replacing(path) as file:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed, or the process dead
        yield put
        if not there.all():
            raise ValueError(f"{(~there).sum()} of {len(there)} images were not written")
        file.seek(start)  # what is on the disk is what the checksums are of
        sums = [zlib.crc32(file.read(BLOCK)) for _ in range(0, shape[0] * size, BLOCK)]
        file.seek(0)
        file.write(_seal(header, sums))


@contextmanager
def _no_empty_folder(folder: Path) -> Iterator[None]:
    """Removes the folder, if it was not there, when what should be written to it is refused."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    except BaseException:
        for path in made:
            with suppress(OSError):  # somebody else has written to it
                path.rmdir()
        raise


def _seal(header: dict, blocks: list[int]) -> bytes:
    """The first line; as long for any checksums."""
    header = header | {"blocks": [f"{value:08x}" for value in blocks]}
    seal = f"{zlib.crc32(json.dumps(header).encode()):08x}"
    return json.dumps(header | {"seal": seal}).encode() + b"\n"


def _remove_abandoned(path: Path) -> None:
    """Removes what processes left that were killed while they wrote this cache."""
    for left in path.parent.glob(f".{path.name}.*.unfinished"):
        try:
            if time.time() - left.stat().st_mtime < _YOUNG:
                continue
            with regular_files.open_to_read(left) as file:
                if fcntl:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
        except OSError:  # somebody is writing it, or has just finished
            continue


def check_writable(path: Path) -> None:
    """Makes sure that the cache can be written; called before work that would be lost.

    Raises:
        BenchError: if its folder cannot be written to.
    """
    with explain_refusal(path.parent, ANOTHER_FOLDER):
        folder = existing(path.parent)
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


# Reading ------------------------------------------------------------------------------------------


def read(path: Path, remedy: str) -> ImageClasses:
    """Opens a cache: the pixels stay in the file, and are mapped from it when they are used.

    Its size, its first line and :data:`SAMPLED` blocks of pixels are checked.

    Args:
        path: the file.
        remedy: how to make it, for error messages.

    Raises:
        BenchError: if it is not there, of another version, or damaged.
    """
    return _read(path, remedy, SAMPLED)


def check(path: Path, remedy: str) -> None:
    """Reads every byte of a cache.

    Raises:
        BenchError: if it is not there, of another version, or damaged.
    """
    _read(path, remedy, None)


def _first_line(path: Path, remedy: str) -> tuple[bytes, int]:
    """The first line of a cache, and the length of the file."""
    try:
        with regular_files.open_to_read(path) as file:
            return file.readline(_MOST_HEADER), os.fstat(file.fileno()).st_size
    except FileNotFoundError as error:
        raise BenchError(f"{path}: there is no such file yet: {remedy}") from error
    except OSError as error:
        raise BenchError(f"{path}: cannot be read: {error.strerror}") from error


def _read(path: Path, remedy: str, sampled: int | None) -> ImageClasses:
    line, size = _first_line(path, remedy)
    damaged = f"{path}: damaged: run prepare again: {remedy}"
    try:
        header = json.loads(line)
        if header["format"] != _FORMAT:
            raise BenchError(f"{path}: of another version: run prepare again: {remedy}")
        blocks = [int(block, 16) for block in header.pop("blocks")]
        del header["seal"]
        whole = _seal(header, blocks) == line and _fits(header, len(blocks))
        shape, count = tuple(header["shape"]), np.array(header["count"], np.int64)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BenchError(damaged) from error
    if not whole or size != len(line) + math.prod(shape):
        raise BenchError(damaged)
    pixels = np.asarray(np.memmap(path, np.uint8, "r", len(line), shape))
    flat, chosen = pixels.reshape(-1), range(len(blocks))
    if sampled is not None:
        chosen = np.unique(np.linspace(0, len(blocks) - 1, sampled).astype(int))
    for block in chosen:
        if zlib.crc32(flat[block * BLOCK : (block + 1) * BLOCK]) != blocks[block]:
            raise BenchError(damaged)
    images = np.moveaxis(pixels, 1, -1)  # without copying: reading channels first is fastest
    return ImageClasses(images, count.cumsum() - count, count, header["names"])


def checksum(path: Path, remedy: str) -> str:
    """Of a cache that can be read: of its first line, which holds checksums of all pixels.

    Raises:
        BenchError: if it is not there.
    """
    return checksums.digest([_first_line(path, remedy)[0]])


def _fits(header: dict, blocks: int) -> bool:
    """Whether what a first line says fits together."""
    shape, count, names = (header[name] for name in ("shape", "count", "names"))
    return (
        all(isinstance(values, list) for values in (shape, count, names))
        and all(type(n) is int and 0 <= n < 2**63 for n in (*shape, *count))
        and all(type(name) is str for name in names)
        and len(shape) == 4
        and len(set(names)) == len(names) == len(count)
        and sum(count) == shape[0]
        and blocks == -(-math.prod(shape) // BLOCK)
    )


def select(classes: ImageClasses, names: Iterable[str]) -> ImageClasses:
    """Some of the classes, in the order given; the pixels are shared."""
    row = {name: i for i, name in enumerate(classes.names)}
    names = list(names)
    rows = [row[name] for name in names]
    return classes._replace(start=classes.start[rows], count=classes.count[rows], names=names)
