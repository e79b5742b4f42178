"""What a reader found: which images there are, of which classes, and a way to their pixels."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.tasks.data_module import SPLITS


class Found(NamedTuple):
    """One image.

    Attributes:
        split: ``train``, ``val`` or ``test``.
        label: its class.
        name: the file, or where in a file it is: unique, and what messages call it. The last part
            of it orders the images of a class, and the whole those of which that is the same.
    """

    split: str
    label: str
    name: str


class Collection(NamedTuple):
    """The images of a data set, in whatever layout they came.

    Attributes:
        layout: the layout, in words.
        images: the images, in any order.
        stream: gives (number in ``images``, pixels) of each image once, in the order in which they
            are stored. Pixels are an image file as bytes, or uint8 ``[height, width, channels]``
            or ``[height, width]``.
        notes: what the user should know, in sentences.
        grouped: whether labels are ``super-class/class``.
    """

    layout: str
    images: list[Found]
    stream: Callable[[], Iterator[tuple[int, bytes | np.ndarray]]]
    notes: list[str]
    grouped: bool = False


def from_files(
    tree: Tree, layout: str, images: list[Found], notes: Iterable[str] = ()
) -> Collection:
    """A collection of image files, whose names are those of the tree.

    A file that has several names in a class, by links, is one image.

    Raises:
        BenchError: names an image that is listed twice, and the classes it is listed for, or one
            that is no regular file.
    """
    place: dict[str, int] = {}
    for number, image in enumerate(images):
        if (first := place.setdefault(image.name, number)) != number:
            both = " and ".join(f"{i.label} ({i.split})" for i in (images[first], image))
            raise BenchError(
                f"{tree.where}: {image.name} is listed twice, for {both}: take one of them out"
            )

    images, notes = _without_links(tree, images), list(notes)
    if linked := len(place) - len(images):
        notes.append(f"{linked:,} names of images are links to others of their class: left out.")
    place = {image.name: number for number, image in enumerate(images)}

    def stream() -> Iterator[tuple[int, bytes]]:
        for name, content in tree.stream(place):
            yield place[name], content

    return Collection(layout, images, stream, notes)


def _without_links(tree: Tree, images: list[Found]) -> list[Found]:
    """The images, each file once in a class: by the name that the tree gives first."""
    first: dict[tuple, Found] = {}
    rank = {name: number for number, name in enumerate(tree.names)}
    for image in sorted(images, key=lambda image: rank[image.name]):
        first.setdefault((*image[:2], tree.identity(image.name)), image)
    kept = {image.name for image in first.values()}
    return [image for image in images if image.name in kept]


def order(images: list[Found]) -> list[int]:
    """The order in which images are packed: the same for the same images in any layout.

    By split, class, and name within the class, numbers in names by their value; files of one name
    in several folders by these.
    """
    classes = defaultdict(list)
    for number, image in enumerate(images):
        classes[image[:2]].append(number)

    def name(number: int) -> tuple:
        whole = images[number].name
        return natural(whole.rpartition("/")[2]), natural(whole)

    in_order = sorted(classes, key=lambda one: (one[0], natural(one[1])))
    return [number for one in in_order for number in sorted(classes[one], key=name)]


def natural(text: str) -> tuple:
    """A key for sorting: ``n01_9.JPEG`` comes before ``n01_10.JPEG``.

    >>> sorted(["b10", "b9", "b09", "a"], key=natural)
    ['a', 'b09', 'b9', 'b10']
    """
    parts = re.split("([0-9]+)", text)
    for i in range(1, len(parts), 2):
        digits = parts[i].lstrip("0")
        parts[i] = (len(digits), digits)
    return *parts, (0, text)


def check_splits(where: object, images: list[Found]) -> None:
    """Makes sure that each class is in one split, and that no split is empty.

    Raises:
        BenchError: names classes and splits.
    """
    check_classes(where, images)
    if missing := set(SPLITS) - {image.split for image in images}:
        raise BenchError(
            f"{where}: no images for {' and '.join(sorted(missing))}: training, validation and "
            "test need classes of their own"
        )


def check_classes(where: object, images: list[Found]) -> None:
    """Makes sure that each class is in one split.

    Raises:
        BenchError: names classes and splits.
    """
    splits = defaultdict(set)
    for split, label, _ in images:
        splits[label].add(split)
    shared = {label: found for label, found in splits.items() if len(found) > 1}
    if shared:
        label, found = next(iter(shared.items()))
        raise BenchError(
            f"{where}: class {label!r} is in {' and '.join(sorted(found))}{others(shared)}: "
            "a class belongs to one split; of a set with the same classes everywhere, give one "
            "folder as --source"
        )


def counts(images: list[Found]) -> dict[str, tuple[int, int]]:
    """How many classes and images each split has."""
    classes = Counter(split for split, _ in {image[:2] for image in images})
    count = Counter(image.split for image in images)
    return {split: (classes[split], count[split]) for split in SPLITS}


def counts_in_words(images: list[Found]) -> str:
    """The same in words."""
    return ", ".join(f"{s} {c:,} classes and {n:,} images" for s, (c, n) in counts(images).items())


def others(found) -> str:
    """How many there are besides the one that a message names."""
    return f" (and {len(found) - 1:,} more like it)" if len(found) > 1 else ""
