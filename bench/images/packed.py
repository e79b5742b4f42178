"""The packed cache: all images of a data set in one file that is written whole or not at all.

One line of JSON (readable with ``head -1``), then the pixels, uint8, class by class.
"""

import errno
import io
import json
import math
import os
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from bench.errors import BenchError
from bench.images.episodes import ImageClasses
from bench.paths import replacing

_FORMAT = "maml-bench images 1"


def write(path: Path, classes: ImageClasses) -> None:
    """Writes a cache; until it is whole, the file does not exist, or is the old one.

    Raises:
        BenchError: if the folder cannot be written.
    """
    pixels = np.ascontiguousarray(classes.images)
    header = {
        "format": _FORMAT,
        "shape": pixels.shape,
        "crc32": zlib.crc32(pixels),
        "count": classes.count.tolist(),
        "names": classes.names,
    }
    check_writable(path)
    with _refusal_named(path.parent), replacing(path) as file:
        file.write(json.dumps(header).encode() + b"\n")
        file.write(pixels)


def check_writable(path: Path) -> None:
    """Makes the cache's folder; called before work that would be lost.

    Raises:
        BenchError: if the folder cannot be written.
    """
    with _refusal_named(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextmanager
def _refusal_named(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BenchError(
            f"{folder}: cannot be written ({error.strerror}): choose another with --data-root"
        ) from error


def read(path: Path, remedy: str) -> ImageClasses:
    """Reads a cache: the pixels are mapped from the file, not copied.

    Args:
        path: the file.
        remedy: how to make it, for error messages.

    Raises:
        BenchError: if it is not there, of another version, or damaged.
    """
    try:
        with path.open("rb") as file:
            line = file.readline(2**26)
    except FileNotFoundError as error:
        raise BenchError(f"{path}: there is no such file yet: {remedy}") from error
    except OSError as error:
        raise BenchError(f"{path}: cannot be read: {error.strerror}") from error
    damaged = f"{path}: damaged: run prepare again: {remedy}"
    try:
        header = json.loads(line)
        if header["format"] != _FORMAT:
            raise BenchError(f"{path}: of another version: run prepare again: {remedy}")
        shape, count = tuple(header["shape"]), np.array(header["count"], np.int64)
        names, checksum = header["names"], header["crc32"]
    except (ValueError, TypeError, KeyError) as error:
        raise BenchError(damaged) from error
    if path.stat().st_size != len(line) + math.prod(shape):
        raise BenchError(damaged)
    pixels = np.asarray(np.memmap(path, np.uint8, "r", len(line), shape))
    if zlib.crc32(pixels) != checksum:
        raise BenchError(damaged)
    return ImageClasses(pixels, count.cumsum() - count, count, names)


def select(classes: ImageClasses, names: list[str]) -> ImageClasses:
    """Some of the classes, in the order given; the pixels are shared."""
    row = {name: i for i, name in enumerate(classes.names)}
    rows = [row[name] for name in names]
    return classes._replace(start=classes.start[rows], count=classes.count[rows], names=names)


def decode(content: bytes, name: str) -> Image.Image:
    """Decodes an image file completely.

    Raises:
        BenchError: names the file, if it is truncated, no image, or of absurd size.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content))
            image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning) as error:
        raise BenchError(f"{name}: not a whole image ({error}): get it again") from error
    return image
