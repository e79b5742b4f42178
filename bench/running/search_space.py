"""What tuning searches: the ranges that an algorithm declares, and the points that are tried.

A class says it beside its arguments, in plain values::

    search = {"inner_lr": ("log", 0.01, 1.0), "head": ("choice", "learned", "zero")}

What a class declares adds to what its bases declare; None takes an argument out again.
"""

from typing import Any, NamedTuple

import numpy as np

from bench.base import registry
from bench.base.errors import BenchError

SEED = 0  # of the sequence of points, the same for every algorithm
EDGE = 0.1  # the outer share of a range, at either end, that counts as its edge
DIGITS = 3  # of a number that is tried, so that it can be read and typed again
FORMS = "('log', LOW, HIGH), ('linear', LOW, HIGH), ('integer', LOW, HIGH) or ('choice', A, B, ...)"


class Dimension(NamedTuple):
    """An argument with what is tried for it.

    Attributes:
        name: of the argument.
        scale: ``"log"`` or ``"linear"``: a number between two others; ``"integer"``: a whole
            number from one to another; ``"choice"``: one of the values.
        values: lowest and highest, or all of a choice.
    """

    name: str
    scale: str
    values: tuple

    def at(self, share: float) -> Any:
        """The value so far into the range, from 0 to below 1.

        >>> Dimension("inner_lr", "log", (0.01, 1.0)).at(0.5)
        0.1
        >>> Dimension("inner_steps", "integer", (1, 5)).at(0.99)
        5
        """
        if self.scale == "choice":
            return self.values[int(share * len(self.values))]
        low, high = self.values
        if self.scale == "integer":
            return low + int(share * (high - low + 1))
        value = low * (high / low) ** share if self.scale == "log" else low + share * (high - low)
        return float(f"{value:.{DIGITS}g}")

    def is_at_edge(self, value: Any) -> bool:
        """Whether a value lies at an end of the range or beyond, so that more may help.

        Of whole numbers, of which there are few, the first and the last; a choice has no ends.
        """
        if self.scale == "choice":
            return False
        low, high = self.values
        if self.scale == "integer":
            return not low < value < high
        if self.scale == "log":
            low, high, value = np.log([low, high, max(value, low)])
        return not EDGE <= (value - low) / (high - low) <= 1 - EDGE


def of(algorithm: str) -> list[Dimension]:
    """What an algorithm declares, in the order of the declaration; nothing where it has no space.

    Raises:
        BenchError: for an unknown name, or a declaration that says nothing.
    """
    declared = registry.declaration("algorithms", algorithm)
    search = declared.attributes.get("search", {})
    if not isinstance(search, dict):
        raise BenchError(f"{algorithm}: search={search!r:.60}: give a dict, argument to range")
    found = []
    for name, space in search.items():
        if space is None:
            continue
        if name not in declared.arguments:
            raise BenchError(f"{algorithm}: search names {name!r}, which is none of its arguments")
        if not _is_range(space):
            raise BenchError(f"{algorithm}: search[{name!r}]={space!r:.60}: give {FORMS}")
        found.append(Dimension(name, space[0], tuple(space[1:])))
    return found


def _is_range(space: Any) -> bool:
    if not isinstance(space, tuple | list) or len(space) < 3:
        return False
    scale, low, *others = space
    if scale == "choice":
        return True
    kinds = {"integer": (int,), "linear": (int, float), "log": (int, float)}.get(scale, ())
    if len(others) != 1 or not all(type(v) in kinds for v in (low, *others)):
        return False
    return low < others[0] and (low > 0 or scale != "log")


def points(space: list[Dimension], count: int) -> list[dict[str, Any]]:
    """The first points of a scrambled Halton sequence, which fills a space evenly however many.

    Halton 1960; scrambled as Owen 2017 (arXiv:1706.02808). It always begins with the same points,
    so that further trials add to those that are done.

    Args:
        space: of one dimension or more.
        count: how many points.

    Returns:
        Argument name to value, for each point.
    """
    from scipy.stats import qmc  # which takes a second to load

    sequence = qmc.Halton(len(space), rng=np.random.default_rng(SEED)).random(count)
    return [{d.name: d.at(share) for d, share in zip(space, point)} for point in sequence]
