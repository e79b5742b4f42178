"""Trainings of a method that differ in length alone: a line of a figure, one in a ranking."""

from collections.abc import Mapping
from typing import Any


def without_length(key: tuple) -> tuple:
    """The key of a cell (:func:`bench.results.summary.cells`) without its meta-iterations."""
    return (*key[:5], tuple((name, value) for name, value in key[5] if name != "iterations"))


def longest(members_of: Mapping[tuple, list[dict[str, Any]]]) -> dict[tuple, tuple]:
    """The key of the longest training of each method, by the key without its length."""
    found: dict[tuple, tuple] = {}
    for key, members in members_of.items():
        line = without_length(key)
        if line not in found or _length(members) > _length(members_of[found[line]]):
            found[line] = key
    return found


def _length(members: list[dict[str, Any]]) -> int:
    return members[0]["experiment"]["iterations"] or 0
