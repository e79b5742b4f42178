"""The packed cache: all images of a data set in one file that is written whole or not at all.

One line of JSON (readable with ``head -1``), then the pixels, uint8, class by class.
"""

import io
import json
import math
import os
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from bench.errors import BenchError
from bench.image_episodes import ImageClasses

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
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with unfinished.open("wb") as file:
                file.write(json.dumps(header).encode() + b"\n")
                file.write(pixels)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise BenchError(
            f"{path.parent}: cannot be written ({error.strerror}): "
            "choose another folder with --data-root"
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
    try:
        header = json.loads(line)
        written = header["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise BenchError(f"{path}: damaged: run prepare again: {remedy}") from error
    if written != _FORMAT:
        raise BenchError(f"{path}: written by another version: run prepare again: {remedy}")
    shape, count = header["shape"], np.array(header["count"], np.int64)
    whole = path.stat().st_size == len(line) + math.prod(shape)
    pixels = np.asarray(np.memmap(path, np.uint8, "r", len(line), tuple(shape))) if whole else None
    if not whole or zlib.crc32(pixels) != header["crc32"]:
        raise BenchError(f"{path}: damaged: run prepare again: {remedy}")
    return ImageClasses(pixels, count.cumsum() - count, count, header["names"])


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
