"""Finds listed image files in a tree, whatever folder the list was written in."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath

from bench.base.archives import Tree
from bench.base.errors import BenchError
from bench.data.images.collection import Collection, Found, from_files, others
from bench.data.images.layouts import split_files


def collect(
    tree: Tree,
    layout: str,
    lists: Mapping[str, str],
    read: Callable[[bytes, str], Iterable[tuple[str, str]]],
) -> Collection:
    """A collection of the images that one list a split names.

    Args:
        tree: where lists and images are.
        layout: in words.
        lists: the file of each split.
        read: takes a list's content and its name for messages, and gives path and class of each
            image.

    Raises:
        BenchError: names list and image, if one is missing.
    """
    find, images, absent = finder(tree), [], []
    for split, content in split_files.contents(tree, lists).items():
        where = f"{tree.where}: {lists[split]}"
        for path, label in read(content, where):
            if name := find(path):
                images.append(Found(split, label, name))
            else:
                absent.append(f"{where}: there is no {path}")
    if absent:
        raise BenchError(f"{absent[0]}{others(absent)}: put it there")
    return from_files(tree, layout, images)


def finder(tree: Tree) -> Callable[[str], str | None]:
    """A function from a listed path to the file that shares the longest end of the path.

    It gives None if no file has the name, or if several fit equally well.
    """
    by_name = defaultdict(list)
    for name in tree.names:
        by_name[PurePosixPath(name).name].append(PurePosixPath(name).parts)

    def find(path: str) -> str | None:
        parts = PurePosixPath(path.replace("\\", "/")).parts
        scored = [
            (_shared(parts, other), other) for other in by_name.get(parts[-1:] and parts[-1], [])
        ]
        best = max((score for score, _ in scored), default=0)
        fits = [other for score, other in scored if score == best]
        return "/".join(fits[0]) if len(fits) == 1 else None

    return find


def _shared(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    count = 0
    for one, other in zip(reversed(a), reversed(b)):
        if one != other:
            break
        count += 1
    return count
