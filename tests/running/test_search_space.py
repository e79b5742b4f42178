import math

import pytest

from bench.base import registry
from bench.base.errors import BenchError
from bench.running import search_space
from bench.running.search_space import Dimension

# what trains step by step, or adapts by a rate: all but the ceiling and what is fitted at once
TUNED = [
    name
    for name in registry.names("algorithms")
    if name != "bayes" and not registry.declaration("algorithms", name).attributes["fits_directly"]
]


@pytest.mark.parametrize("name", TUNED)
def test_every_algorithm_declares_ranges_of_arguments_that_it_has(name):
    space = search_space.of(name)
    assert 1 <= len(space) <= 4
    declared = registry.declaration("algorithms", name).arguments
    for dimension in space:
        assert type(declared[dimension.name].default) is type(dimension.at(0.5))


def test_a_class_adds_to_what_its_bases_declare_and_takes_out():
    def names(algorithm):
        return {d.name: d.values for d in search_space.of(algorithm)}

    assert names("imaml").keys() == {"outer_lr", "inner_lr", "strength"}
    assert names("anil")["inner_lr"] != names("maml")["inner_lr"]
    assert names("anil")["outer_lr"] == names("maml")["outer_lr"]
    assert names("random_init").keys() == {"inner_lr"}  # which trains nothing
    assert names("bayes") == {}


def test_the_points_fill_the_range_and_more_of_them_begin_alike():
    space = search_space.of("imaml")
    few, many = search_space.points(space, 5), search_space.points(space, 40)
    assert many[:5] == few
    for dimension in space:
        values = [point[dimension.name] for point in many]
        low, high = dimension.values
        assert all(low <= v <= high for v in values)
        shares = [math.log(v / low) / math.log(high / low) for v in values]
        assert {int(10 * min(share, 0.999)) for share in shares} == {*range(10)}


def test_every_value_of_few_is_tried():
    steps = Dimension("inner_steps", "integer", (2, 4))
    head = Dimension("head", "choice", ("learned", "zero"))
    points = search_space.points([steps, head], 16)
    assert {p["inner_steps"] for p in points} == {2, 3, 4}
    assert {p["head"] for p in points} == {"learned", "zero"}


@pytest.mark.parametrize(
    ("dimension", "at_edge", "inside"),
    [
        (Dimension("a", "log", (0.01, 1.0)), [0.01, 0.013, 0.9, 2.0, 0.0], [0.02, 0.1, 0.5]),
        (Dimension("a", "linear", (0.0, 1.0)), [0.0, 0.95, -1.0], [0.2, 0.8]),
        (Dimension("a", "integer", (1, 5)), [1, 5, 9], [2, 4]),
        (Dimension("a", "choice", ("a", "b")), [], ["a", "b"]),
    ],
)
def test_what_lies_at_an_edge(dimension, at_edge, inside):
    assert all(dimension.is_at_edge(v) for v in at_edge)
    assert not any(dimension.is_at_edge(v) for v in inside)


@pytest.mark.parametrize(
    ("search", "says"),
    [
        ("['inner_lr']", "give a dict"),
        ("{'inner_lrr': ('log', 0.1, 1.0)}", "names 'inner_lrr', which is none of its arguments"),
        ("{'inner_lr': ('log', 0.0, 1.0)}", r"search\['inner_lr'\].*: give \('log', LOW, HIGH\)"),
        ("{'inner_lr': ('log', 1.0, 0.1)}", "give"),
        ("{'inner_lr': ('logarithmic', 0.1, 1.0)}", "give"),
        ("{'inner_lr': ('log', 'a', 'b')}", "give"),
        ("{'inner_steps': ('integer', 1, 2.5)}", "give"),
        ("{'inner_lr': 0.1}", "give"),
        ("{'inner_lr': ('choice',)}", "give"),
    ],
)
def test_a_declaration_that_says_nothing_is_named(tmp_path, monkeypatch, search, says):
    monkeypatch.setattr(registry, "_outside", {})
    path = tmp_path / f"mine_{abs(hash(search))}.py"
    path.write_text(
        f"from bench.algorithms.maml import MAML\nclass Mine(MAML):\n    search = {search}\n"
    )
    name = registry.add("algorithms", str(path))
    with pytest.raises(BenchError, match=f"{name}: .*{says}"):
        search_space.of(name)
