import pytest

from bench.base import registry
from bench.base.errors import BenchError


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_plug_in_loads_under_its_file_name_and_says_what_it_is(kind):
    assert registry.names(kind)
    for name in registry.names(kind):
        thing = registry.load(kind, name)
        about = thing.description if kind == "suites" else thing.__doc__
        assert about.strip()


def test_unknown_name_gives_the_nearest_match():
    with pytest.raises(BenchError, match="unknown algorithm 'mmal'.*did you mean maml"):
        registry.load("algorithms", "mmal")


def test_unknown_argument_gives_the_nearest_match():
    with pytest.raises(BenchError, match="maml has no argument 'inner_lrr'.*inner_lr"):
        registry.create("algorithms", "maml", inner_lrr=1)


def test_arguments_fill_in_the_defaults_of_all_base_classes():
    arguments = registry.arguments("algorithms", "fomaml", {"inner_lr": 0.3})
    assert arguments["order"] == 1
    assert arguments["inner_lr"] == 0.3
    assert arguments["outer_lr"] == 1e-3


def test_a_default_of_a_subclass_beats_that_of_its_base():
    assert registry.arguments("data", "irt", {})["test_episodes"] >= 5000
