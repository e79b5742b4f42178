"""Finds plug-ins: a name is a file name in a folder such as ``algorithms`` or ``launchers``.

``my_method`` on the command line is ``bench/algorithms/my_method.py``, and the class in it is the
one defined there that carries the same name without underscores, whatever its capitals. Nothing is
registered by hand, and only the file that is asked for is imported. Plug-ins of the user's own,
outside the package, are added when they are named: :func:`add`.
"""

import functools
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import bench
from bench.base import arguments as argument_checks
from bench.base import declarations, outside
from bench.base.declarations import Declaration
from bench.base.errors import BenchError, nearest
from bench.base.outside import Outside

KINDS = {  # to the package in which the plug-ins lie
    "algorithms": "bench.algorithms",
    "data": "bench.data",
    "models": "bench.models",
    "suites": "bench.running.suites",
    "launchers": "bench.running.launchers",
}

BY_USERS = ("algorithms", "data", "models")  # kinds that a record or a checkpoint depends on

_outside: dict[tuple[str, str], Outside] = {}  # those that the user has named


def add(kind: str, given: str) -> str:
    """Makes a plug-in known that the user names, wherever it lies.

    Args:
        kind: such as ``"algorithms"``.
        given: a name, the path of a file, ``package.module:Class``, or a name that an installed
            package declares as an entry point of ``maml_bench.algorithms`` and its like.

    Returns:
        The name that it is known by from now on.

    Raises:
        BenchError: if there is no such file or class, or its name is taken.
    """
    if outside.is_place(given):
        found = outside.find(kind, given)
    else:
        found = outside.entry_points(kind).get(given)
        if found is None or given in names(kind):
            return given
    before = _outside.setdefault((kind, found.name), found)
    if found.name in _inside(kind) or before != found:
        raise BenchError(
            f"{given}: there is another {kind.rstrip('s')} called {found.name}: rename this one"
        )
    return found.name


def added() -> list[Outside]:
    """What :func:`add` has made known, for processes that work for this one."""
    return list(_outside.values())


def add_all(plug_ins: Iterable[Outside]) -> None:
    """Makes known what the process that this one works for knows."""
    _outside.update({(p.kind, p.name): p for p in plug_ins})


def version(kind: str, name: str) -> str | None:
    """Which code a plug-in is that lies outside the package; None: it is part of it."""
    found = _outside.get((kind, name))
    return None if found is None else found.version


def names(kind: str) -> list[str]:
    """All plug-ins of a kind, sorted, as they are written on the command line."""
    return sorted([*_inside(kind), *(name for k, name in _outside if k == kind)])


def _inside(kind: str) -> list[str]:
    folder = Path(bench.__file__).parent.joinpath(*KINDS[kind].split(".")[1:])
    modules = sorted(m.name for m in pkgutil.iter_modules([str(folder)]) if not m.ispkg)
    return [n.replace("_", "-") if kind == "suites" else n for n in modules]


def module_name(kind: str, name: str) -> str:
    """The module of a plug-in, such as ``bench.algorithms.maml``.

    Raises:
        BenchError: for an unknown name; the message gives the nearest match.
    """
    name = name.replace("_", "-") if kind == "suites" else name.replace("-", "_")
    if name not in _inside(kind):
        raise BenchError(f"unknown {kind.rstrip('s')} {name!r}: {nearest(name, names(kind))}")
    return f"{KINDS[kind]}.{name.replace('-', '_')}"


def class_name(kind: str, name: str) -> str:
    """The name of a plug-in's class, such as ``MAML``; nothing is imported.

    Raises:
        BenchError: for an unknown name, or a file without such a class.
    """
    module = module_name(kind, name)
    wanted = module.rpartition(".")[2].replace("_", "")
    for found in declarations.class_names(module):
        if found.lower().removesuffix("datamodule") == wanted:
            return found
    raise BenchError(f"{module} defines no class named like its file")


def load(kind: str, name: str):
    """The class (of a suite: the object) that a name stands for.

    Raises:
        BenchError: for an unknown name; the message gives the nearest match.
    """
    for spelling in (name, name.replace("-", "_")):
        if found := _outside.get((kind, spelling)):
            return outside.load(found)
    module = importlib.import_module(module_name(kind, name))
    return module.SUITE if kind == "suites" else getattr(module, class_name(kind, name))


@functools.cache
def declaration(kind: str, name: str) -> Declaration:
    """Arguments and attributes of a plug-in's class; it is not imported if its source is plain.

    Raises:
        BenchError: for an unknown name.
    """
    if (kind, name) in _outside:
        return declarations.of_class(load(kind, name))
    try:
        return declarations.read(module_name(kind, name), class_name(kind, name))
    except declarations.Unreadable:
        return declarations.of_class(load(kind, name))


def create(kind: str, name: str, *args, **options):
    """An object of a plug-in's class.

    Raises:
        BenchError: for an unknown name or option, or a value that the class cannot have.
    """
    defaults = {n: a.default for n, a in declaration(kind, name).arguments.items()}
    given = arguments(kind, name, options)
    options = {n: given[n] for n in options}
    try:
        return load(kind, name)(*args, **options)
    except (TypeError, ValueError, OverflowError, RuntimeError, MemoryError) as error:
        changed = {k: v for k, v in options.items() if v is not defaults[k] and v != defaults[k]}
        words = ", ".join(f"{k}={v!r:.60}" for k, v in changed.items())
        words = words or "its defaults"
        raise BenchError(f"{name} cannot be made with {words}: {error}") from error


def option_names(kind: str, name: str) -> list[str]:
    """Keyword arguments of a plug-in's constructor, those of its base classes included."""
    return list(declaration(kind, name).arguments)


def arguments(kind: str, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of a plug-in: those given, and the defaults of the others.

    Raises:
        BenchError: for an unknown name or argument, or a value of another kind than its own.
    """
    known = declaration(kind, name).arguments
    checked = {}
    for option, value in given.items():
        if option not in known:
            raise BenchError(f"{name} has no argument {option!r}: {nearest(option, known)}")
        checked[option] = argument_checks.check(option, value, known[option].hint, converts=True)
    return {n: a.default for n, a in known.items()} | checked
