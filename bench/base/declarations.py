"""What the source of a class says of it: its arguments and attributes, read without importing it.

Importing an algorithm imports torch, which takes seconds; planning a grid, its tables and its help
need names, defaults and labels alone. So these are read from the syntax tree, base classes
included. What is no plain value there is not guessed: :class:`Unreadable` says that the class
itself has to be asked.
"""

import ast
import functools
import inspect
import operator
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import bench

REQUIRED = inspect.Parameter.empty  # the default of an argument that has none
HINTS = {  # what annotations are made of, by name; what else they name is an object's class
    "Any": Any,
    "Iterable": Iterable,
    "Literal": typing.Literal,
    "Mapping": Mapping,
    "Sequence": Sequence,
    "bool": bool,
    "dict": dict,
    "float": float,
    "int": int,
    "list": list,
    "str": str,
    "tuple": tuple,
}
ARITHMETIC = {ast.Add: operator.add, ast.Sub: operator.sub, ast.FloorDiv: operator.floordiv}


class Unreadable(Exception):
    """The source does not say it in plain values."""


class Argument(NamedTuple):
    """An argument of a constructor.

    Attributes:
        hint: what it is annotated with; where the source names none of :data:`HINTS`, a class
            that bears the name alone.
        default: its value when it is not given; :data:`REQUIRED` if it has to be.
    """

    hint: Any
    default: Any


class Declaration(NamedTuple):
    """What is known of a class.

    Attributes:
        arguments: of its constructor by name, those that ``**kwargs`` passes on included.
        attributes: plain values of its body and of its bases' bodies; a dict adds to those of the
            same name in its bases.
        own: those of its body alone.
    """

    arguments: dict[str, Argument]
    attributes: dict[str, Any]
    own: dict[str, Any]


def of_class(cls: type) -> Declaration:
    """The same, asked of the class itself."""
    arguments: dict[str, Argument] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        named = {
            p.name: Argument(Any if p.annotation is p.empty else p.annotation, p.default)
            for p in parameters
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        }
        arguments = named | arguments
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            break
    bodies = [
        {n: v for n, v in vars(base).items() if isinstance(v, _PLAIN)} for base in cls.__mro__
    ]
    return Declaration(arguments, _together(bodies), bodies[0])


_PLAIN = (bool, int, float, str, tuple, list, dict, type(None))


def _together(bodies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The attributes of a class from those of its body and its bases' bodies, the nearest first."""
    found: dict[str, Any] = {}
    for body in reversed(bodies):
        for name, value in body.items():
            before = found.get(name)
            both = isinstance(value, dict) and isinstance(before, dict)
            found[name] = before | value if both else value
    return found


def read(module: str, name: str) -> Declaration:
    """What the source of a class in the package says.

    Args:
        module: such as ``"bench.algorithms.maml"``.
        name: of the class.

    Raises:
        Unreadable: if a default is no plain value, or a base class is not found.
    """
    arguments, passes_on = {}, True
    lineage = _lineage(module, name)
    attributes = [_attributes(source, body) for source, body in lineage]
    for source, body in lineage:
        constructor = next((f for f in body.body if _is_constructor(f)), None)
        if constructor is not None and passes_on:
            arguments = _arguments(source, constructor.args) | arguments
            passes_on = constructor.args.kwarg is not None
    return Declaration(arguments, _together(attributes), attributes[0])


def class_names(module: str) -> list[str]:
    """The names of the classes that are defined in a module of the package."""
    return list(_source(module).classes)


def docstring(module: str) -> str:
    """The docstring of a module of the package."""
    return ast.get_docstring(_source(module).tree) or ""


def constant(module: str, name: str, otherwise: Any = None) -> Any:
    """The plain value of a name in a module of the package, or ``otherwise``."""
    source = _source(module)
    return _value(source, ast.Name(name)) if name in source.constants else otherwise


def defines(module: str, name: str) -> bool:
    """Whether a module of the package has a function or value of that name, or imports it."""
    source = _source(module)
    functions = (n.name for n in source.tree.body if isinstance(n, ast.FunctionDef))
    return name in {*functions, *source.constants, *source.imported}


class _Source(NamedTuple):
    """The syntax tree of a module: its classes, plain constants, and where names come from."""

    module: str
    tree: ast.Module
    classes: dict[str, ast.ClassDef]
    constants: dict[str, ast.expr]
    imported: dict[str, tuple[str, str]]  # name to (module, name there)


@functools.cache
def _source(module: str) -> _Source:
    path = Path(bench.__file__).parent.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise Unreadable(f"{module}: {error}") from None
    imported = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    constants: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            constants |= {n: v for target in node.targets for n, v in _pairs(target, node.value)}
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    return _Source(module, tree, classes, constants, imported)


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[str, ast.expr]]:
    """Names and their values, of ``a = 1`` and of ``a, b = 1, 2``."""
    if isinstance(target, ast.Name):
        return [(target.id, value)]
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        named = zip(target.elts, value.elts)
        return [(t.id, v) for t, v in named if isinstance(t, ast.Name)]
    return []


def _lineage(module: str, name: str) -> list[tuple[_Source, ast.ClassDef]]:
    """A class and its bases within the package, the nearest first."""
    source = _source(module)
    if name not in source.classes:
        if name not in source.imported:
            raise Unreadable(f"{module} defines no class {name}")
        return _lineage(*source.imported[name])
    body = source.classes[name]
    found = [(source, body)]
    for base in body.bases:
        home = _home(source, base)
        if home[0].split(".")[0] == "bench":
            found += [entry for entry in _lineage(*home) if entry not in found]
    return found


def _home(source: _Source, base: ast.expr) -> tuple[str, str]:
    """The module and the name of a base class: ``Base``, or ``module.Base``."""
    if isinstance(base, ast.Name) and base.id in source.classes:
        return source.module, base.id
    if isinstance(base, ast.Name):
        return source.imported.get(base.id, ("", ""))
    if isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name):
        return ".".join(source.imported.get(base.value.id, ("", ""))), base.attr
    return "", ""


def _is_constructor(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "__init__"


def _arguments(source: _Source, given: ast.arguments) -> dict[str, Argument]:
    positional = [*given.posonlyargs, *given.args][1:]
    defaults = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    pairs = [*zip(positional, defaults), *zip(given.kwonlyargs, given.kw_defaults)]
    return {
        argument.arg: Argument(
            _hint(source, argument.annotation),
            REQUIRED if default is None else _value(source, default),
        )
        for argument, default in pairs
    }


def _attributes(source: _Source, body: ast.ClassDef) -> dict[str, Any]:
    found = {}
    for node in body.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        for target in targets:
            for name, value in _pairs(target, node.value):
                try:
                    found[name] = _value(source, value)
                except Unreadable:
                    continue
    return {n: v for n, v in found.items() if isinstance(v, _PLAIN)}


def _value(source: _Source, node: ast.expr) -> Any:
    """A literal, or a constant of the module or of another that is one."""
    if isinstance(node, ast.Name) and node.id in source.constants:
        return _value(source, source.constants[node.id])
    if isinstance(node, ast.Name) and source.imported.get(node.id, ("",))[0].startswith("bench."):
        module, name = source.imported[node.id]
        return _value(_source(module), ast.Name(name))
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        left, right = _value(source, node.left), _value(source, node.right)
        if type(left) is type(right) is int and right != 0:
            return ARITHMETIC[type(node.op)](left, right)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise Unreadable(f"{source.module}: {ast.unparse(node)} is no plain value") from None


def _hint(source: _Source, node: ast.expr | None) -> Any:
    """What an annotation means."""
    if node is None:
        return Any
    if isinstance(node, ast.Constant):
        return None if node.value is None else Any
    if isinstance(node, ast.Name):
        return HINTS[node.id] if node.id in HINTS else _alias(source, node.id)
    if isinstance(node, ast.Attribute):
        return _class_called(node.attr)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return typing.Union[_hint(source, node.left), _hint(source, node.right)]  # noqa: UP007
    if isinstance(node, ast.Subscript):
        origin = _hint(source, node.value)
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if origin is typing.Literal:
            return typing.Literal[tuple(ast.literal_eval(part) for part in parts)]
        if origin in HINTS.values():
            inner = tuple(... if _is_dots(part) else _hint(source, part) for part in parts)
            return origin[inner if len(inner) > 1 else inner[0]]
    return Any


@functools.cache
def _class_called(name: str) -> type:
    return type(name, (), {})


def _alias(source: _Source, name: str) -> Any:
    """A type that has a name in the module, or in another one of the package."""
    if name in source.constants:
        return _hint(source, source.constants[name])
    module, there = source.imported.get(name, ("", ""))
    if module.startswith("bench.") and there not in _source(module).classes:
        return _alias(_source(module), there)
    return _class_called(name)


def _is_dots(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...
