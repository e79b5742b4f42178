"""Checks the values of arguments against their annotations: the one place that does.

The choices and types of an argument stand in its annotation alone. Suites, ``--set``, records and
constructors are checked here, by jsonargparse, which also checks what LightningCLI is given.
"""

import functools
import os
import typing
from collections.abc import Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any

from bench.base.errors import BenchError, nearest

DATA = (bool, int, float, str, list, tuple, dict, NoneType)  # types of plain values
PLAIN = (bool, int, float, str, list, tuple, dict, Mapping, Sequence, Iterable)
WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a word"}
MOST = 2**31 - 1  # no size, count or length of anything here is a whole number beyond it
LARGEST = 1e30  # single precision holds it, and some multiples of it
SEEDS = -(2**63), 2**64 - 1  # what torch takes


def check(name: str, value: Any, hint: Any, converts: bool = False) -> Any:
    """Makes sure that a value is what an argument is annotated with.

    Args:
        name: of the argument.
        value: given for it.
        hint: its annotation. A class that is no plain type admits any object, and no plain data.
        converts: whether a text that stands for a number is one, as on a command line.

    Returns:
        The value, or what its text stands for.

    Raises:
        BenchError: names the argument, with what would fit.
    """
    alternatives = _alternatives(hint)
    if Any in alternatives:
        return value
    plain = [part for part in alternatives if _is_plain(part)]
    if type(value) not in DATA:
        if len(plain) == len(alternatives) and not isinstance(value, str | os.PathLike):
            raise BenchError(f"{name}={_shown(value)}: {remedy(value, hint)}")
        return value
    found = _parsed(value, typing.Union[tuple(plain)]) if plain else _REFUSED  # noqa: UP007
    converted = isinstance(value, str) and not isinstance(found, str)
    if found is _REFUSED or (converted and not converts):
        raise BenchError(f"{name}={_shown(value)}: {remedy(value, hint)}")
    return found if converted else value


def check_all(cls: type, values: Mapping[str, Any]) -> None:
    """Checks the arguments that an object of a class was made with, and the size of numbers.

    Raises:
        BenchError: names the first that does not fit.
    """
    for name, argument in _declared(cls).items():
        if name in values:
            check(name, values[name], argument.hint)
            _check_size(name, values[name], float in _alternatives(argument.hint))


def require_at_least(least: int, **values: int | Sequence[int]) -> None:
    """Refuses whole numbers below the least that makes sense, alone or in a list.

    Args:
        least: that number.
        **values: arguments by name.

    Raises:
        BenchError: names the first that does not fit.
    """
    for name, value in values.items():
        several = isinstance(value, list | tuple)
        for number in value if several else [value]:
            if type(number) is not int or number < least:
                numbers = "whole numbers" if several else "a whole number"
                raise BenchError(f"{name}={_shown(value)}: give {numbers} of at least {least}")


def _check_size(name: str, value: Any, is_float: bool) -> None:
    """Refuses numbers that nothing could be computed with, which would be found out later."""
    if type(value) not in (int, float):
        return
    if is_float:
        if not abs(value) <= LARGEST:
            raise BenchError(f"{name}={_shown(value)}: give a number up to {LARGEST:g}")
        return
    least, most = SEEDS if name == "seed" or name.endswith("_seed") else (-MOST, MOST)
    if not least <= value <= most:
        raise BenchError(f"{name}={_shown(value)}: give a whole number from {least} to {most}")


def _shown(value: Any) -> str:
    try:
        return f"{value!r:.60}"
    except ValueError:  # longer than Python writes whole numbers
        return "(thousands of digits)"


@functools.cache
def _declared(cls: type) -> dict:
    from bench.base.declarations import of_class

    return of_class(cls).arguments


def remedy(value: Any, hint: Any) -> str:
    """The end of a message: which values an annotation admits, the nearest first."""
    choices = [c for part in _alternatives(hint) for c in _literals(part)]
    if len(choices) > 2 or any(isinstance(c, str) for c in choices):
        others = [words for words in _in_words(hint) if words not in map(repr, choices)]
        return nearest(value, map(str, choices)) + "".join(f", or {words}" for words in others)
    return f"give {' or '.join(_in_words(hint))}"


_REFUSED = object()


def _parsed(value: Any, hint: Any) -> Any:
    """What jsonargparse makes of a value; :data:`_REFUSED` if it does not fit."""
    if isinstance(value, tuple | list):
        value = [os.fspath(part) if isinstance(part, os.PathLike) else part for part in value]
    if value is None:
        return None if NoneType in _alternatives(hint) else _REFUSED
    if isinstance(value, float) and value != value:
        return _REFUSED
    try:
        found = _parser(hint).parse_object({"value": value}, defaults=False)["value"]
    except Exception:  # whatever it makes of a strange object, it is no value of this kind
        return _REFUSED
    literals = [c for part in _alternatives(hint) for c in _literals(part)]
    if literals and found in literals and type(found) not in {type(c) for c in literals}:
        return _REFUSED  # True, where 1 is one of them
    return found


@functools.cache
def _parser(hint: Any):
    from jsonargparse import ArgumentParser  # which commands that only show something do without

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=hint)
    return parser


def _alternatives(hint: Any) -> tuple:
    """The parts of a union; otherwise, the annotation itself."""
    is_union = typing.get_origin(hint) in (typing.Union, UnionType)
    return typing.get_args(hint) if is_union else (NoneType if hint is None else hint,)


def _literals(hint: Any) -> tuple:
    return typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()


def _is_plain(hint: Any) -> bool:
    """Whether an annotation is made of plain types alone."""
    parts, origin = typing.get_args(hint), typing.get_origin(hint) or hint
    if origin is typing.Literal or origin in (None, NoneType, Any, ...):
        return True
    return origin in (*PLAIN, typing.Union, UnionType) and all(map(_is_plain, parts))


def _in_words(hint: Any) -> list[str]:
    """What would fit."""
    parts, origin = typing.get_args(hint), typing.get_origin(hint) or hint
    if origin in (typing.Union, UnionType):
        return [words for part in parts for words in _in_words(part)]
    if origin is typing.Literal:
        return [repr(part) for part in parts]
    if hint is None or hint is NoneType:
        return ["None"]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return ["a dict, such as {'name': 1}"]
    if isinstance(origin, type) and issubclass(origin, Iterable) and parts:
        return [f"a list of {_in_words(parts[0])[0].removeprefix('a ')}s"]
    return [WORDS.get(origin, getattr(origin, "__name__", str(origin)))]
