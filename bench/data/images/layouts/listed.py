"""Finds listed image files in a tree, whatever folder the list was written in."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import PurePosixPath

from bench.base.archives import Tree


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
