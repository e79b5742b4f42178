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
