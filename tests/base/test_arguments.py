from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pytest
from torch import nn

from bench import FOMAML, MAML, GlyphsDataModule, IRTDataModule
from bench.base import registry
from bench.base.arguments import check
from bench.base.errors import BenchError


@pytest.mark.parametrize(
    ("hint", "values"),
    [
        (int, [3, -1]),
        (float, [3, 0.5, float("inf")]),
        (bool, [True]),
        (str, ["a", "3"]),
        (int | None, [None, 3]),
        (Literal[1, 2], [1, 2]),
        (Literal["a", "b"] | None, ["a", None]),
        (tuple[int, ...], [(1, 2), [1, 2], ()]),
        (Sequence[str], [["a"], ("a", "b")]),
        (str | Sequence[str], ["a", ["a"]]),
        (dict[str, Any], [{"a": object}]),
        (Mapping[str, str] | None, [{"a": "b"}, None]),
        (str | nn.Module | None, ["mlp", None, nn.Linear(1, 1)]),
        (Any, [object(), 3]),
    ],
)
def test_what_fits_stays_as_it_is(hint, values):
    for value in values:
        assert check("x", value, hint) is value


@pytest.mark.parametrize(
    ("hint", "value", "remedy"),
    [
        (int, "3", "give a whole number"),
        (int, 3.0, "give a whole number"),
        (int, True, "give a whole number"),
        (float, float("nan"), "give a number"),
        (float, "fast", "give a number"),
        (bool, 1, "give True or False"),
        (str, 3, "give a word"),
        (str, None, "give a word"),
        (Literal[1, 2], 3, "give 1 or 2"),
        (Literal[1, 2], True, "give 1 or 2"),
        (Literal["mean", "sum"], "meen", "did you mean mean? Known: mean, sum"),
        (Literal["a", "b"] | None, "c", "Known: a, b, or None"),
        (tuple[int, ...], [1, "x"], "give a list of whole numbers"),
        (list[str], "a", "give a list of words"),
        (dict[str, Any] | None, [1], "give a dict, such as {'name': 1} or None"),
        (str | nn.Module | None, 3, "give a word or Module or None"),
        (int, object(), "give a whole number"),
    ],
)
def test_what_does_not_fit_is_named_with_what_would(hint, value, remedy):
    with pytest.raises(BenchError) as error:
        check("x", value, hint)
    assert str(error.value).startswith("x=")
    assert str(error.value).endswith(remedy)


def test_a_text_of_the_command_line_may_stand_for_a_number():
    assert check("x", "3", int, converts=True) == 3
    assert check("x", "null", int | None, converts=True) is None
    assert check("x", "3", str, converts=True) == "3"
    with pytest.raises(BenchError, match="x='three': give a whole number"):
        check("x", "three", int, converts=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MAML(order=3), "order=3: give 1 or 2"),
        (lambda: FOMAML(order=2), "order=2: give 1"),
        (lambda: MAML(engine="bached"), "did you mean batched"),
        (lambda: MAML(inner_steps=1.5), "inner_steps=1.5: give a whole number"),
        (lambda: IRTDataModule(model="4pl"), "model='4pl': did you mean"),
        (lambda: GlyphsDataModule(ways="five"), "ways='five': give a whole number"),
        (lambda: registry.create("algorithms", "maml", head="none"), "head='none'.*learned"),
    ],
)
def test_constructors_suites_and_the_command_line_refuse_the_same(make, message):
    with pytest.raises(BenchError, match=message):
        make()
