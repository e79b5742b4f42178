import subprocess
import sys
from types import UnionType

import pytest

from bench.base import declarations, registry

PLUG_INS = [
    (kind, name)
    for kind in ("algorithms", "data", "models", "launchers")
    for name in registry.names(kind)
]


@pytest.mark.parametrize(("kind", "name"), PLUG_INS)
def test_the_source_says_what_the_class_says(kind, name):
    declared = registry.declaration(kind, name)
    asked = declarations.of_class(registry.load(kind, name))
    defaults = {n: a.default for n, a in asked.arguments.items()}
    assert {n: a.default for n, a in declared.arguments.items()} == defaults
    assert list(declared.arguments) == list(asked.arguments)
    assert declared.attributes.items() <= asked.attributes.items()
    for option, argument in declared.arguments.items():
        assert words(argument.hint) == words(asked.arguments[option].hint), option


@pytest.mark.parametrize(("kind", "name"), PLUG_INS)
def test_no_class_widens_the_choices_of_an_argument(kind, name):
    """A misspelt choice would pass."""
    made = registry.load(kind, name)
    own = declarations.of_class(made).arguments
    for base in made.__mro__[1:-1]:
        for option, argument in declarations.of_class(base).arguments.items():
            if option in own and not NO_LIST & (known := choices(argument.hint)):
                assert choices(own[option].hint) <= known | {None}, (base, option)


NO_LIST = {"any"}  # of choices


def choices(hint):
    """The values that an annotation lists, None among them; :data:`NO_LIST` if it admits others."""
    typing = declarations.typing
    if typing.get_origin(hint) is typing.Literal:
        return set(typing.get_args(hint))
    if typing.get_origin(hint) in (typing.Union, UnionType):
        return set().union(*map(choices, typing.get_args(hint)))
    return {None} if hint in (None, type(None)) else NO_LIST


def words(hint):
    """An annotation without the places that its classes come from."""
    parts = declarations.typing.get_args(hint)
    origin = declarations.typing.get_origin(hint) or hint
    own = "Union" if origin is UnionType else getattr(origin, "__name__", str(hint))
    kept = [words(part) if not isinstance(part, str | int) else repr(part) for part in parts]
    return f"{own}{sorted(kept)}" if parts else own


def test_arguments_and_labels_are_read_without_importing_torch():
    code = (
        "import sys; from bench.base import registry\n"
        "for kind in ('algorithms', 'models'):\n"
        "    for name in registry.names(kind): registry.declaration(kind, name)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_no_plain_value_is_asked_of_the_class():
    with pytest.raises(declarations.Unreadable, match=r"DEFAULT.queries is no plain value"):
        declarations.read("bench.data.meta_dataset", "MetaDatasetDataModule")
    assert registry.declaration("data", "meta_dataset").arguments["queries"].default == 10


def test_modules_are_asked_for_what_they_define():
    assert declarations.docstring("bench.algorithms.maml").startswith("Model-agnostic")
    assert declarations.defines("bench.data.omniglot", "prepare")
    assert not declarations.defines("bench.data.glyphs", "prepare")
    with pytest.raises(declarations.Unreadable, match="defines no class Nothing"):
        declarations.read("bench.algorithms.maml", "Nothing")
