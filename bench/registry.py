"""Finds plug-ins: a name is a file name in a folder such as ``algorithms`` or ``launchers``.

``my_method`` on the command line is ``bench/algorithms/my_method.py``, and the class in it is the
one defined there that carries the same name without underscores, whatever its capitals. Nothing is
registered by hand, and only the file that is asked for is imported.
"""

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

from bench.errors import BenchError, nearest

KINDS = ("algorithms", "data", "models", "suites", "launchers")


def names(kind: str) -> list[str]:
    """All plug-ins of a kind, sorted, as they are written on the command line."""
    folder = Path(__file__).parent / kind
    modules = sorted(m.name for m in pkgutil.iter_modules([str(folder)]))
    return [n.replace("_", "-") if kind == "suites" else n for n in modules]


def load(kind: str, name: str):
    """The class (of a suite: the object) that a name stands for.

    Raises:
        BenchError: for an unknown name; the message gives the nearest match.
    """
    name = name.replace("_", "-") if kind == "suites" else name.replace("-", "_")
    if name not in names(kind):
        raise BenchError(f"unknown {kind.rstrip('s')} {name!r}: {nearest(name, names(kind))}")
    module = importlib.import_module(f"bench.{kind}.{name.replace('-', '_')}")
    if kind == "suites":
        return module.SUITE
    wanted = name.replace("_", "")
    for attribute, value in vars(module).items():
        plain = attribute.lower().removesuffix("datamodule")
        if inspect.isclass(value) and value.__module__ == module.__name__ and plain == wanted:
            return value
    raise BenchError(f"bench/{kind}/{name}.py defines no class named like the file")


def create(kind: str, name: str, *args, **options):
    """An object of a plug-in's class.

    Raises:
        BenchError: for an unknown name or option.
    """
    arguments(kind, name, options)
    return load(kind, name)(*args, **options)


def option_names(cls: type) -> list[str]:
    """Keyword arguments of a constructor, those passed on to base classes included."""
    return list(_defaults(cls))


def arguments(kind: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """All arguments of a plug-in: those given, and the defaults of the others.

    Raises:
        BenchError: for an unknown name or argument.
    """
    defaults = _defaults(load(kind, name))
    for option in given:
        if option not in defaults:
            raise BenchError(f"{name} has no argument {option!r}: {nearest(option, defaults)}")
    return defaults | given


def _defaults(cls: type) -> dict[str, Any]:
    """Constructor arguments and their defaults; ``**kwargs`` stands for the base class's."""
    found: dict[str, Any] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        found = {p.name: p.default for p in named} | found
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            break
    return found
