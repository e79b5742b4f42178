"""NumPy files of small images, as Google gives Quick, Draw!: a file a class, or one for all.

``cat.npy`` holds the images of one class, ``[images, height * width]`` (square images) or
``[images, height, width]``. An ``.npz`` file holds such arrays by class, or ``images``,
``[classes, images, height, width]``, with their names in ``classes``.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import PurePosixPath
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from bench.base import archives
from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.data.images.collection import Collection, Found
from bench.data.images.layouts import class_splits

LAYOUT = (
    "<class>.npy, or an .npz file of the classes or of images and classes, with or without "
    f"{class_splits.FILE}"
)
MOST = 5000  # images of a class: Quick, Draw! has a hundred thousand and more
PREFIX = "full_numpy_bitmap_"  # what Google's files are called when they are downloaded one by one
_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_MOST_BYTES = 2**24  # of an image, or of all names
_CHUNK = 2**20


class _Array(NamedTuple):
    """Images of one class in a file.

    Attributes:
        label: the class.
        file: the file.
        first: number of images in the file before these.
        count: how many.
        shape: of one image, ``(height, width, channels)``.
    """

    label: str
    file: str
    first: int
    count: int
    shape: tuple[int, int, int]


def read(tree: Tree) -> Collection | None:
    """Takes the first :data:`MOST` images of each class; ``splits.json`` lists the splits.

    Without that file the classes are divided at random, always in the same way.

    Raises:
        BenchError: names the file whose array is no array of images, or is not whole.
    """
    with _arrays_of(tree) as inner:
        arrays = _find_arrays(inner) if inner else []
    if not arrays:
        return None
    of_label = {array.label: array for array in arrays}
    if len(of_label) < len(arrays):
        twice = next(a for a in arrays if of_label[a.label] is not a)
        raise BenchError(f"{tree.where}: {twice.file} and another file are of class {twice.label}")
    splits, note = class_splits.find_or_draw(tree, of_label)
    chosen = [(split, of_label[label]) for split, labels in splits.items() for label in labels]
    notes = [note]
    if any(array.count > MOST for _, array in chosen):
        notes.append(f"Of classes with more than {MOST:,} images the first {MOST:,} were taken.")
    images, place = [], {}
    for split, array in chosen:
        place[array] = len(images)
        count = min(array.count, MOST)
        images += [
            Found(split, array.label, f"{array.file}/{array.label}/{i}") for i in range(count)
        ]

    def stream() -> Iterator[tuple[int, np.ndarray]]:
        in_order = sorted(place, key=lambda array: (array.file, array.first))
        with _arrays_of(tree) as inner:
            for file, arrays in groupby(in_order, key=lambda array: array.file):
                for array, i, image in _images(inner, file, arrays):
                    yield place[array] + i, image

    return Collection(LAYOUT, images, stream, notes)


@contextmanager
def _arrays_of(tree: Tree) -> Iterator[Tree | None]:
    """The tree that holds the arrays: the given one, or that of the one ``.npz`` file in it."""
    if any(name.endswith(".npy") for name in tree.names):
        yield tree
        return
    inside = [name for name in tree.names if name.endswith(".npz")]
    if not inside:
        yield None
        return
    if len(inside) > 1:
        raise BenchError(
            f"{tree.where}: several sets, {' and '.join(inside[:3])}: give one of them"
        )
    ((name, content),) = tree.stream(inside)
    with archives.opened(tree.where / name, content) as inner:
        yield inner


def _find_arrays(tree: Tree) -> list[_Array]:
    files = {PurePosixPath(name).stem: name for name in tree.names if name.endswith(".npy")}
    if "images" in files and "classes" in files:
        return _find_stacked(tree, files["images"], files["classes"])
    arrays = []
    for name in tree.names:
        if not name.endswith(".npy"):
            continue
        where, label = f"{tree.where}: {name}", PurePosixPath(name).stem.removeprefix(PREFIX)
        with tree.file(name) as file:
            count, *image = _header(file, where)[0]
            shape = _shape_of_an_image(image, where)
            _skip(file, min(count, MOST) * math.prod(shape), where)
        arrays.append(_Array(label, name, 0, count, shape))
    return arrays


def _find_stacked(tree: Tree, name: str, of_names: str) -> list[_Array]:
    where = f"{tree.where}: {name}"
    labels = _names(tree, of_names)
    with tree.file(name) as file:
        shape = _header(file, where)[0]
        if len(shape) < 3 or shape[0] != len(labels):
            raise BenchError(f"{where}: {shape}, not [{len(labels)} classes, images, ...]")
        classes, count, *image = shape
        shape = _shape_of_an_image(image, where)
        _skip(file, classes * count * math.prod(shape), where)
    return [_Array(label, name, i * count, count, shape) for i, label in enumerate(labels)]


def _names(tree: Tree, name: str) -> list[str]:
    where = f"{tree.where}: {name}"
    with tree.file(name) as file:
        shape, dtype = _header(file, where, "SU")
        size = math.prod(shape) * dtype.itemsize
        if len(shape) != 1 or size > _MOST_BYTES:
            raise BenchError(f"{where}: {dtype} {shape}, not a list of names")
        content = file.read(size)
    if len(content) < size:
        raise BenchError(f"{where}: ends too early: get it again")
    names = np.frombuffer(content, dtype).tolist()
    return [n.decode("utf-8", "replace") if isinstance(n, bytes) else n for n in names]


def _header(file: BinaryIO, where: str, kinds: str = "") -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type that a file claims for its array; uint8, unless other kinds are wanted."""
    try:
        shape, fortran, dtype = _READERS[npy.read_magic(file)](file)
    except Exception as error:  # a damaged header may raise anything, but runs nothing
        raise BenchError(f"{where}: not a NumPy file of images ({error}): get it again") from error
    if not (dtype.kind in kinds if kinds else dtype == np.uint8):
        raise BenchError(f"{where}: an array of {dtype}, not of {'names' if kinds else 'uint8'}")
    if fortran and len(shape) > 1:
        raise BenchError(f"{where}: stored column by column: save numpy.ascontiguousarray of it")
    if not shape or min(shape) < 1:
        raise BenchError(f"{where}: an array of shape {shape}, with nothing in it")
    return shape, dtype


def _shape_of_an_image(shape: list[int], where: str) -> tuple[int, int, int]:
    side = math.isqrt(shape[0]) if len(shape) == 1 else 0
    if len(shape) == 1 and side**2 == shape[0]:
        shape = [side, side]
    if len(shape) == 2:
        shape = [*shape, 1]
    if len(shape) != 3 or shape[2] not in (1, 3) or math.prod(shape) > _MOST_BYTES:
        raise BenchError(
            f"{where}: images of shape {shape}, not [height, width] or [height * width]"
        )
    return tuple(shape)


def _skip(file: BinaryIO, size: int, where: str) -> None:
    """Reads on, so that no size is believed that is not there."""
    while size:
        got = len(file.read(min(size, _CHUNK)))
        if not got:
            raise BenchError(f"{where}: ends {size:,} bytes before its array does: get it again")
        size -= got


def _images(
    tree: Tree, name: str, arrays: Iterable[_Array]
) -> Iterator[tuple[_Array, int, np.ndarray]]:
    """The images of arrays of one file, in one pass, each with its number in its array."""
    where, at = f"{tree.where}: {name}", 0
    with tree.file(name) as file:
        _header(file, where)
        for array in arrays:
            size = math.prod(array.shape)
            _skip(file, (array.first - at) * size, where)
            at = array.first + min(array.count, MOST)
            for i in range(min(array.count, MOST)):
                content = file.read(size)
                if len(content) < size:
                    raise BenchError(f"{where}: ends too early: get it again")
                yield array, i, np.frombuffer(content, np.uint8).reshape(array.shape)
