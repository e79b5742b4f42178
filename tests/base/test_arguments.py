from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pytest
from torch import nn

from bench import FOMAML, MAML, GlyphsDataModule, IRTDataModule, SinusoidDataModule
from bench.base import arguments, registry
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


# Size of numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MAML(seed=2**64), "seed=18446744073709551616: give a whole number from -9223"),
        (lambda: MAML(seed=10**5000), r"seed=\(thousands of digits\): give a whole number from"),
        (lambda: SinusoidDataModule(seed=-(2**63) - 1), "to 18446744073709551615$"),
        (lambda: GlyphsDataModule(data_seed=2**64), "data_seed=1844"),
        (lambda: SinusoidDataModule(shots=2**31), "shots=2147483648: give a whole number from"),
        (lambda: MAML(inner_lr=float("inf")), r"inner_lr=inf: give a number up to 1e\+30"),
        (lambda: MAML(inner_lr=-1e-9), "inner_lr=-1e-09: give a number of at least 0"),
        (lambda: MAML(inner_lr=float("nan")), "inner_lr=nan: give a number"),
        (lambda: MAML(outer_lr=1e31), r"outer_lr=1e\+31: give a number up to 1e\+30"),
        (lambda: SinusoidDataModule(num_workers=129), "num_workers=129: each is a process"),
    ],
)
def test_numbers_that_nothing_could_be_computed_with_are_refused_at_once(make, words):
    with pytest.raises(BenchError, match=words):
        make()


def test_numbers_at_the_edge_are_taken():
    least, most = arguments.SEEDS
    for seed in (least, -1, 0, 2**63, most):
        model = MAML(seed=seed, spec={"kind": "regression", "input_shape": [1], "outputs": 1})
        model.configure_model()
        SinusoidDataModule(seed=seed).episodes("train", [0])
    MAML(inner_lr=0, outer_lr=1e30, inner_steps=arguments.MOST)
    SinusoidDataModule(num_workers=128)
