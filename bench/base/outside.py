"""Plug-ins that lie outside the package: files, classes of installed packages, entry points.

``path/to/my_method.py``, ``package.module:Class``, and names that installed packages declare as
entry points (``maml_bench.algorithms`` and its like). Code is loaded only when the user names it in
a command or a script: no record and no checkpoint ever loads any by itself.
"""

import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from bench.base.errors import BenchError
from bench.base.paths import is_file_name

SUFFIX = ".py"
TORCHVISION = "torchvision:"  # stands before the name of a network there, for which there is a file
BASES = {  # what the class of each kind is made of, imported where somebody's code is
    "algorithms": ("bench.learning.learner", "MetaLearner"),
    "data": ("bench.tasks.data_module", "EpisodeDataModule"),
    "models": ("torch.nn", "Module"),
}


class Outside(NamedTuple):
    """A plug-in that lies outside the package.

    Attributes:
        kind: such as ``"algorithms"``.
        name: what records and tables call it.
        place: the path of its file in full, or ``package.module:Class``.
        version: of the code: the checksum of the file, or the package and its version.
    """

    kind: str
    name: str
    place: str
    version: str


def is_place(given: str) -> bool:
    """Whether it names a file or a class, and no plug-in of the package.

    >>> is_place("./my_method.py"), is_place("package.module:Class"), is_place("maml")
    (True, True, False)
    >>> is_place("torchvision:resnet18")
    False
    """
    return given.endswith(SUFFIX) or (":" in given and not given.startswith(TORCHVISION))


def find(kind: str, given: str) -> Outside:
    """The plug-in that a place stands for.

    Args:
        kind: such as ``"algorithms"``.
        given: a file, or ``package.module:Class``.

    Raises:
        BenchError: if there is no such file or class.
    """
    if given.endswith(SUFFIX):
        path = Path(given).expanduser()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BenchError(f"{given}: {error.strerror}: name a Python file") from None
        name = path.stem.replace("-", "_")
        if not is_file_name(name):
            raise BenchError(f"{given}: a plug-in's file name is letters, digits and _ alone")
        version = f"sha256:{hashlib.sha256(content).hexdigest()}"
        return Outside(kind, name, str(path.resolve()), version)
    module, _, cls = given.partition(":")
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls).lower()
    if not re.fullmatch(r"\w+(\.\w+)*", module) or not is_file_name(name):
        raise BenchError(f"{given!r}: write package.module:Class, or the path of a .py file")
    return Outside(kind, name, given, _version(module))


@functools.cache
def entry_points(kind: str) -> dict[str, Outside]:
    """What installed packages declare, by name."""
    found = importlib.metadata.entry_points(group=f"maml_bench.{kind}")
    return {e.name: Outside(kind, e.name, e.value, _version(e.module)) for e in found}


@functools.cache
def load(plug_in: Outside) -> Any:
    """The class of a plug-in (of a suite: the object); its code is run.

    Raises:
        BenchError: if the code fails, or has no such class.
    """
    module = _module(plug_in.place)
    if plug_in.kind not in BASES:
        if not hasattr(module, "SUITE"):
            raise BenchError(f"{plug_in.place} defines no SUITE")
        return module.SUITE
    home, base = BASES[plug_in.kind]
    wanted = getattr(importlib.import_module(home), base)
    if not plug_in.place.endswith(SUFFIX):
        found = [getattr(module, plug_in.place.partition(":")[2], None)]
    else:
        plain = plug_in.name.replace("_", "").lower()
        own = [c for c in vars(module).values() if inspect.isclass(c)]
        own = [c for c in own if c.__module__ == module.__name__ and issubclass(c, wanted)]
        named = [c for c in own if c.__name__.lower().removesuffix("datamodule") == plain]
        found = named or own
    if len(found) != 1 or not inspect.isclass(found[0]) or not issubclass(found[0], wanted):
        raise BenchError(
            f"{plug_in.place}: {len(found)} classes made of {wanted.__name__}: define one, or one "
            f"that is named like the file"
        )
    return found[0]


@functools.cache
def _module(place: str):
    try:
        if not place.endswith(SUFFIX):
            return importlib.import_module(place.partition(":")[0])
        name = f"maml_bench_outside_{hashlib.sha256(place.encode()).hexdigest()[:12]}"
        spec = importlib.util.spec_from_file_location(name, place)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
    except BenchError:
        raise
    except Exception as error:  # whatever somebody's code raises
        raise BenchError(f"{place} cannot be loaded ({type(error).__name__}: {error})") from error


def _version(module: str) -> str:
    top = module.partition(".")[0]
    packages = importlib.metadata.packages_distributions().get(top, [])
    for package in packages:
        return f"{package} {importlib.metadata.version(package)}"
    return f"{top}, not installed"
