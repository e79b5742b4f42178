import re
from typing import Literal

import msgspec
import pytest

from bench.base.errors import BenchError
from bench.results.checking import check, problem

METRIC = {"mean": 0.5, "ci95": None, "per_step": [0.5]}
ACCURACY = "evaluation.per_episode.accuracy"


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("schema", 2, "schema must be 1"),
        ("schema", True, "schema must be a whole number, not true or false"),
        ("experiment.seed", KeyError, "experiment.seed is missing"),
        ("experiment.seed", 0.5, "experiment.seed must be a whole number, not a number"),
        ("experiment", [], "experiment must be an object, not a list"),
        ("experiment.shots", True, "experiment.shots must be a whole number or null, not true"),
        ("experiment.shots", -1, "experiment.shots must be a whole number >= 0"),
        ("experiment.shots", 2**53, "experiment.shots must be a whole number <= "),
        ("experiment.suite", "../up", "experiment.suite must be letters, digits and . _ - only"),
        ("experiment.suite", "up\n", "experiment.suite must be letters"),
        ("experiment.key", "a/b", "experiment.key must be letters"),
        ("experiment.data", {"fold": [1]}, "experiment.data.fold must be a whole number or null"),
        ("experiment.data", {"version": "2"}, "experiment.data.version must be a whole number"),
        ("experiment.learner", {"\x1b[31m": 1}, "experiment.learner has a name that must be"),
        (ACCURACY, [1e101, 1, 1], f"{ACCURACY}[0] must be a number < 1e+100"),
        (ACCURACY, [1, float("inf"), 1], f"{ACCURACY}[1] must be a number <"),
        (ACCURACY, [1, 1, float("nan")], f"{ACCURACY}[2] must be a number"),
        (ACCURACY, "abc", f"{ACCURACY} must be a list, not text"),
        (ACCURACY, [0.1], f"{ACCURACY} has 1 entries for 3 episodes"),
        ("metrics.accuracy.mean", 10**400, "metrics.accuracy.mean is wrong: Number out of range"),
        ("metrics.accuracy.mean", "x", "metrics.accuracy.mean must be a number or null, not text"),
        ("metrics.accuracy", KeyError, "metrics.accuracy is missing"),
        ("metrics.accuracy", {}, "metrics.accuracy.mean is missing"),
        ("metrics.nll", 0.5, "metrics.nll must be an object, not a number"),
        ("metrics.headline", "auc", "evaluation.per_episode.auc is missing"),
        ("metrics.accuracy.per_step", ["a"], "metrics.accuracy.per_step[0] must be a number"),
        (
            "metrics.accuracy.per_step",
            [],
            "metrics.accuracy.per_step must be a list of length >= 1",
        ),
        ("provenance.commit", "\n", "provenance must hold plain words and numbers"),
        ("provenance.commit", [], "provenance.commit must be true or false, a whole number, text"),
        ("provenance.\x1b", "a", "provenance must hold plain words and numbers"),
        ("chosen", "\x1b[31mred", "chosen holds control characters"),
        ("evaluation.index", [0, 1, 1], "evaluation.index must hold different numbers"),
        ("evaluation.index", [0, 1], "evaluation.index has 2 entries for 3"),
        ("evaluation.index", [0, 1, -2], "evaluation.index[2] must be a whole number >= 0"),
        ("evaluation.split", "best", "evaluation.split must be test or val"),
        ("training.validation", [[1, 2], [1]], "training.validation[1] must be a list of length 2"),
        ("cost", {"ms_per_iteration": 1.0}, "cost.ms_low is missing"),
        ("algorithm", {}, "algorithm.label is missing"),
        ("algorithm", {"label": "\x07", "order": 1, "role": None}, "algorithm.label holds control"),
        ("algorithm", {"label": "a", "order": 3, "role": None}, "algorithm.order must be 1, 2 or"),
        (
            "algorithm",
            {"label": "a", "order": None, "role": "top"},
            "algorithm.role must be baseline, ceiling, floor or null",
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path, changed, field, value, says):
    with pytest.raises(BenchError, match=f"^{tmp_path}/a.json: {re.escape(says)}"):
        check(changed(field, value), tmp_path / "a.json")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("episodes", 3, "s do not add up"),
        ("episodes", 0, "[1].episodes must be a whole number >= 1"),
        ("episodes", True, "[1].episodes must be a whole number, not true or false"),
        ("shots", "5", "[1].shots must be a whole number or null, not text"),
        ("shots", 10**30, "[1].shots must be a whole number <="),
        ("shots", None, "[1].shots must be a whole number where there is no source"),
        ("shots", 1, "s must differ in shots or source"),
        ("extra", 1, "[1].extra is unknown"),
        ("source", "fungi", "[1].source needs experiment.data.train_datasets, a list of names"),
        ("metrics", {}, "[1].metrics.accuracy is missing"),
        ("metrics.accuracy", 0.5, "[1].metrics.accuracy must be an object, not a number"),
        (
            "metrics.brier",
            METRIC | {"mean": "x"},
            "[1].metrics.brier.mean must be a number or null",
        ),
        ("metrics.accuracy.per_step", [], "[1].metrics.accuracy.per_step must be a list of length"),
        ("metrics.accuracy.per_step", [1e101], "[1].metrics.accuracy.per_step[0] must be a number"),
        ("metrics.\x1b[31m", METRIC, "[1].metrics has a name that must be letters"),
        ("metrics.headline", METRIC, "[1].metrics must hold no headline"),
        ("recovery.mastery_auc", "good", "[1].recovery.mastery_auc must be a number"),
    ],
)
def test_a_wrong_view_is_named(tmp_path, changed, viewed, field, value, says):
    says = re.escape(f"evaluation.view{says if says[0] == 's' else 's' + says}")
    with pytest.raises(BenchError, match=f"a.json: {says}"):
        check(changed(f"evaluation.views.1.{field}", value, of=viewed), tmp_path / "a.json")


@pytest.mark.parametrize("views", [{}, None, "ab", [1], [[]]])
def test_views_are_a_list_of_views(tmp_path, changed, views):
    with pytest.raises(BenchError, match=r"a.json: evaluation.views(\[0\])? must be a"):
        check(changed("evaluation.views", views), tmp_path / "a.json")


@pytest.mark.parametrize("record", [None, [1], "schema", 3])
def test_what_is_no_record_at_all_is_said(tmp_path, record):
    with pytest.raises(BenchError, match="a.json: must be an object, not "):
        check(record, tmp_path / "a.json")


def test_the_entry_of_a_dict_that_is_wrong_is_named_however_deep():
    class Inner(msgspec.Struct):
        numbers: dict[str, list[int]]
        kind: Literal["a"] | None = None

    content = {
        "first": {"numbers": {"a": [1], "b": [2]}},
        "second": {"numbers": {"a": [1], "b": [2, "x"]}},
        "third": {"numbers": {"c": [1, "x"]}},
    }
    says = "at.second.numbers.b[1] must be a whole number, not text"
    assert problem(content, dict[str, Inner], "at") == says
    assert problem({}, dict[str, Inner]) is None
    assert problem([{"numbers": {}}, {}], list[Inner]) == "[1].numbers is missing"
