"""Images that lie as arrays in a file for each split: what several layouts share."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.data.images.collection import Collection, Found


def collect(
    tree: Tree,
    layout: str,
    files: Mapping[str, str],
    images: Callable[[bytes, str], tuple[Sequence[Any], Sequence[str]]],
    notes: Sequence[str] = (),
) -> Collection:
    """A collection of the images of one file a split, read once to list and once to give them.

    Args:
        tree: where the files are.
        layout: in words.
        files: the file of each split.
        images: takes a file's content and its name for messages, and gives the images (pixels or
            image files) and the class of each.
        notes: what the user should know.
    """
    split_of = {file: split for split, file in files.items()}
    found, place = [], {}
    for file, content in tree.stream(list(split_of)):
        _, labels = images(content, f"{tree.where}: {file}")
        place[file] = len(found)
        found += [Found(split_of[file], label, f"{file}/{i}") for i, label in enumerate(labels)]

    def stream() -> Iterator[tuple[int, np.ndarray | bytes]]:
        for file, content in tree.stream(sorted(place, key=place.get)):
            pixels, _ = images(content, f"{tree.where}: {file}")
            for i, image in enumerate(pixels):
                yield place[file] + i, image

    return Collection(layout, found, stream, list(notes))


def text(value: Any) -> str:
    """A name that Python 2 may have written as bytes, or a number, as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def entry(content: Any, key: str, where: str) -> Any:
    """A value of a dict whose keys may be texts or bytes.

    Raises:
        BenchError: names file and key, if it is not there.
    """
    if not isinstance(content, dict):
        raise BenchError(f"{where}: holds a {type(content).__name__}, not a dict")
    for name, value in content.items():
        if text(name) == key:
            return value
    raise BenchError(f"{where}: has no {key!r}, but {', '.join(map(text, content)) or 'nothing'}")


def images_of(value: Any, key: str, where: str) -> np.ndarray:
    """An array of images.

    Raises:
        BenchError: names file and key, if it is none.
    """
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or value.ndim not in (3, 4):
        if isinstance(value, np.ndarray):
            kind = f"{value.dtype} {value.shape}"
        else:
            kind = f"a {type(value).__name__}"
        raise BenchError(f"{where}: {key!r} is {kind}, not uint8 [images, height, width, channels]")
    return value
