"""Finds plug-ins: a name is a file name in a folder such as ``algorithms`` or ``launchers``.

``my_method`` on the command line is ``bench/algorithms/my_method.py``, and the class in it is the
one defined there that carries the same name without underscores, whatever its capitals. Nothing is
registered by hand, and only the file that is asked for is imported.
"""

import importlib
import inspect
import os
import pkgutil
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any

import bench
from bench.base.errors import BenchError, nearest

KINDS = {  # to the package in which the plug-ins lie
    "algorithms": "bench.algorithms",
    "data": "bench.data",
    "models": "bench.models",
    "suites": "bench.running.suites",
    "launchers": "bench.running.launchers",
}


def names(kind: str) -> list[str]:
    """All plug-ins of a kind, sorted, as they are written on the command line."""
    folder = Path(bench.__file__).parent.joinpath(*KINDS[kind].split(".")[1:])
    modules = sorted(m.name for m in pkgutil.iter_modules([str(folder)]) if not m.ispkg)
    return [n.replace("_", "-") if kind == "suites" else n for n in modules]


def load(kind: str, name: str):
    """The class (of a suite: the object) that a name stands for.

    Raises:
        BenchError: for an unknown name; the message gives the nearest match.
    """
    name = name.replace("_", "-") if kind == "suites" else name.replace("-", "_")
    if name not in names(kind):
        raise BenchError(f"unknown {kind.rstrip('s')} {name!r}: {nearest(name, names(kind))}")
    module = importlib.import_module(f"{KINDS[kind]}.{name.replace('-', '_')}")
    if kind == "suites":
        return module.SUITE
    wanted = name.replace("_", "")
    for attribute, value in vars(module).items():
        plain = attribute.lower().removesuffix("datamodule")
        if inspect.isclass(value) and value.__module__ == module.__name__ and plain == wanted:
            return value
    raise BenchError(f"{module.__file__} defines no class named like the file")


def create(kind: str, name: str, *args, **options):
    """An object of a plug-in's class.

    Raises:
        BenchError: for an unknown name or option, or a value that the class cannot have.
    """
    defaults = arguments(kind, name, {})
    arguments(kind, name, options)
    try:
        return load(kind, name)(*args, **options)
    except (TypeError, ValueError, OverflowError, RuntimeError, MemoryError) as error:
        own = {k: v for k, v in options.items() if v is not defaults[k] and v != defaults[k]}
        said = ", ".join(f"{k}={v!r:.60}" for k, v in own.items())
        raise BenchError(f"{name} cannot be made with {said or 'its defaults'}: {error}") from error


def option_names(cls: type) -> list[str]:
    """Keyword arguments of a constructor, those passed on to base classes included."""
    return list(_parameters(cls))


def arguments(kind: str, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of a plug-in: those given, and the defaults of the others.

    Raises:
        BenchError: for an unknown name or argument, or a value of another kind than its own.
    """
    parameters = _parameters(load(kind, name))
    for option, value in given.items():
        if option not in parameters:
            raise BenchError(f"{name} has no argument {option!r}: {nearest(option, parameters)}")
        hint = parameters[option].annotation
        if not _fits(value, hint):
            raise BenchError(f"{option}={value!r:.60}: give {' or '.join(_in_words(hint))}")
    return {n: p.default for n, p in parameters.items()} | dict(given)


def _parameters(cls: type) -> dict[str, inspect.Parameter]:
    """Constructor arguments; ``**kwargs`` stands for the base class's."""
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        found = {p.name: p for p in named} | found
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            break
    return found


# Values ------------------------------------------------------------------------------------------

WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a word"}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the kind that an argument is annotated with; what is unsure is."""
    parts = typing.get_args(hint)
    origin = typing.get_origin(hint) or hint
    if origin in (typing.Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is typing.Literal:
        return any(type(value) is type(part) for part in parts)
    if hint is None or hint is NoneType:
        return value is None
    if origin is float:
        return type(value) in (int, float) and value == value  # not NaN
    if origin is str:
        return isinstance(value, str | os.PathLike)
    if origin in (bool, int):
        return type(value) is origin
    if not isinstance(origin, type) or origin is inspect.Parameter.empty:
        return True
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping)
    if issubclass(origin, Iterable) and parts and not isinstance(value, str):
        return isinstance(value, list | tuple) and all(_fits(v, parts[0]) for v in value)
    return isinstance(value, origin)


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
