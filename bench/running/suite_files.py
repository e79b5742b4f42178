"""Suites as YAML files: written, read, and checked with the line of what is wrong.

Such a file is data: it names algorithms and data sets, and loads no code.
"""

import dataclasses
import re
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bench.base import arguments, bounded_yaml, paths, registry, regular_files
from bench.base.errors import BenchError, nearest
from bench.running.experiment import Experiment
from bench.running.suite import GRID_FLAGS, Study, Suite

SUFFIXES = (".yaml", ".yml")
MOST_BYTES = 2**20
STYLE = {"sort_keys": False, "default_flow_style": None, "width": 100}
HEAD = "# A suite: maml-bench run THIS_FILE. Its fields are those of bench/running/suite.py.\n"
PLAIN = {f"tag:yaml.org,2002:{tag}" for tag in ("str", "int", "float", "bool", "null")}
EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")  # which YAML 1.1 takes for words
Place = tuple[str | int, ...]  # fields and numbers from the top of a file to a value


def find(given: str) -> Suite:
    """The suite that a name, a Python file, ``package.module:NAME`` or a YAML file stands for.

    Raises:
        BenchError: if there is none, or what is wrong with it.
    """
    if given.endswith(SUFFIXES):
        return read(Path(given))
    return registry.load("suites", registry.add("suites", given))


def to_yaml(suite: Suite) -> str:
    """A suite as text that :func:`read` takes; fields at their defaults are left out.

    Raises:
        BenchError: if it holds what is no plain value.
    """
    try:
        body = yaml.dump(_plain(suite), Dumper=_Dumper, **STYLE)
    except yaml.representer.RepresenterError as error:
        raise BenchError(f"suite {suite.name} cannot be written as YAML: {error.args}") from None
    return HEAD + body


def read(path: Path) -> Suite:
    """The suite in a YAML file.

    Raises:
        BenchError: names the file and, of what is wrong in it, line and field.
    """
    try:
        text = regular_files.read_text(path.expanduser(), MOST_BYTES)
        bounded_yaml.check(text, str(path))
        node = yaml.compose(text, Loader=_Loader)
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}: name a YAML file") from None
    except UnicodeDecodeError as error:
        raise BenchError(f"{path}: not in UTF-8 (byte {error.start:,}): save it so") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}, line {mark.line + 1}" if mark else f"{path}"
        problem = getattr(error, "problem", None) or getattr(error, "reason", "unreadable")
        raise BenchError(f"{place}: no YAML: {problem}") from None
    return _Reader(str(path)).suite(node)


class _Reader:
    """Makes a suite of the nodes of a file, and knows the line of each value."""

    def __init__(self, file: str):
        self.file = file
        self.lines: dict[Place, int] = {}

    def suite(self, node: yaml.Node | None) -> Suite:
        if node is None:
            raise BenchError(f"{self.file}: it is empty: maml-bench show quick --format yaml")
        suite = self._made(Suite, self._value(node, ()), ())
        with self._at(("name",)):
            if not paths.is_file_name(suite.name):
                raise BenchError(f"{suite.name!r:.60}: give letters, digits, - and _ alone")
        for number, study in enumerate(suite.studies):
            self._check(study, ("studies", number))
        return suite

    def _value(self, node: yaml.Node, place: Place) -> Any:
        """The plain value of a node; notes its line."""
        self.lines[place] = node.start_mark.line + 1
        if isinstance(node, yaml.SequenceNode) and node.tag.endswith(":seq"):
            return [self._value(part, (*place, i)) for i, part in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode) and node.tag.endswith(":map"):
            found = {}
            for key, value in node.value:
                name, line = key.value, key.start_mark.line + 1
                if key.tag != "tag:yaml.org,2002:str":
                    self._fail(place, line, f"{name!r:.60} is no word: write it in quotes")
                if name in found:
                    self._fail((*place, name), line, "is there twice: leave one out")
                found[name] = self._value(value, (*place, name))
                self.lines[*place, name] = line
            return found
        if node.tag not in PLAIN:
            self._fail(place, self.lines[place], f"{node.tag}: write a number, a word or a list")
        try:
            return _Loader("").construct_object(node)
        except (ValueError, LookupError, yaml.YAMLError) as error:
            reason = str(error).split(";")[0]
            self._fail(place, self.lines[place], f"cannot be read ({reason})")

    def _made(self, cls: type, values: Any, place: Place) -> Any:
        """A :class:`Suite` or :class:`Study` of plain values."""
        fields = {field.name: field for field in dataclasses.fields(cls)}
        what = cls.__name__.lower()
        with self._at(place):
            if not isinstance(values, dict):
                raise BenchError(f"a {what} has fields, such as {next(iter(fields))}: give these")
            for name, field in fields.items():
                needed = dataclasses.MISSING in (field.default,) and (
                    field.default_factory is dataclasses.MISSING
                )
                if needed and name not in values:
                    raise BenchError(f"a {what} needs {name}: add it")
        given, hints = {}, typing.get_type_hints(cls)
        for name, value in values.items():
            with self._at((*place, name)):
                if name not in fields:
                    raise BenchError(f"a {what} has no such field: {nearest(name, fields)}")
                parts = [p for p in typing.get_args(hints[name]) if dataclasses.is_dataclass(p)]
                if parts and not isinstance(value, list):
                    raise BenchError(f"give a list of {name}")
            if not parts:
                value = self._checked(name, value, hints[name], (*place, name))
            if parts:
                numbered = enumerate(value)
                value = [self._made(parts[0], v, (*place, name, i)) for i, v in numbered]
            given[name] = tuple(value) if isinstance(value, list) else value
        return cls(**given)

    def _checked(self, name: str, value: Any, hint: Any, place: Place) -> Any:
        """A value that is what a field is annotated with; of mappings, each value in its place."""
        if typing.get_origin(hint) is Mapping:
            with self._at(place):
                arguments.check(name, value, dict)
            of_each = typing.get_args(hint)[1]
            return {n: self._checked(n, v, of_each, (*place, n)) for n, v in value.items()}
        with self._at(place):
            return arguments.check(name, value, hint)

    def _check(self, study: Study, place: Place) -> None:
        """Refuses names and arguments that there are not, at the line where they stand."""
        with self._at((*place, "dataset")):
            registry.declaration("data", study.dataset)
        for name in ("iterations", "validations"):
            with self._at((*place, name)):
                Experiment("", "", "", **{"iterations": 0, name: getattr(study, name)})
        self._arguments("data", study.dataset, study.data, (*place, "data"))
        for name in ("ways", "shots"):
            with self._at((*place, name)):
                for value in getattr(study, name):
                    registry.arguments("data", study.dataset, {name: value})
        for number, repeat in enumerate(study.repeats):
            self._arguments("data", study.dataset, repeat, (*place, "repeats", number))
        taken = set()
        for name, settings in study.algorithms.items():
            at = (*place, "algorithms", name)
            with self._at(at):
                known = registry.option_names("algorithms", name)
            lengths = {n: settings[n] for n in ("iterations", "validations") if n in settings}
            with self._at(at):
                Experiment("", "", "", **{"iterations": 0} | lengths)
            own = {n: v for n, v in settings.items() if n not in lengths}
            self._arguments("algorithms", name, own, at)
            common = {n: v for n, v in study.learner.items() if n in known}
            self._arguments("algorithms", name, common, (*place, "learner"))
            taken.update(known)
        for name in study.learner:
            with self._at((*place, "learner", name)):
                if name not in taken:
                    raise BenchError(f"no algorithm here has it: {nearest(name, taken)}")

    def _arguments(self, kind: str, plug_in: str, given: Mapping[str, Any], place: Place) -> None:
        for name, value in given.items():
            with self._at((*place, name)):
                if name in GRID_FLAGS:
                    field = GRID_FLAGS[name].lstrip("-")
                    raise BenchError(f"it follows from the field {field}: give that")
                registry.arguments(kind, plug_in, {name: value})

    @contextmanager
    def _at(self, place: Place) -> Iterator[None]:
        """Within this context, a message begins with file, line and field."""
        try:
            yield
        except BenchError as error:
            nearest_place = next(
                place[:n] for n in range(len(place), -1, -1) if place[:n] in self.lines
            )
            self._fail(place, self.lines[nearest_place], str(error))

    def _fail(self, place: Place, line: int, message: str) -> typing.NoReturn:
        field = "".join(f"[{p}]" if isinstance(p, int) else f".{p:.60}" for p in place).lstrip(".")
        where = f"{self.file}, line {line}" + (f", {field}" if field else "")
        raise BenchError(f"{where}: {message}") from None


class _Loader(yaml.SafeLoader):
    """As SafeLoader; 1e-3 is a number here as in Python."""


class _Dumper(yaml.SafeDumper):
    """As SafeDumper; writes what is shared each time."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver("tag:yaml.org,2002:float", EXPONENT, list("-+0123456789."))


def _plain(value: Any) -> Any:
    """A dataclass, mapping or tuple as dicts and lists, without fields at their defaults."""
    if dataclasses.is_dataclass(value):
        found = {}
        for field in dataclasses.fields(value):
            factory, own = field.default_factory, getattr(value, field.name)
            default = field.default if factory is dataclasses.MISSING else factory()
            if own != default:
                found[field.name] = _plain(own)
        return found
    if isinstance(value, Mapping):
        return {name: _plain(v) for name, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value
