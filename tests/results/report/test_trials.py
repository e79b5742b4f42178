"""Trials as the report has them: the choice that was made, and no other."""

import pytest

from bench.base.errors import BenchError
from bench.results.report import page
from bench.results.report.trials import of_dataset


def test_the_choice_is_by_what_judged_and_one_a_fold(trials):
    """By the headline the second trial is the best; they were judged by log-loss."""
    found = []
    for fold in (0, 1):
        for number, record in enumerate(trials("omniglot", [0.1, 0.5, 0.3])):
            record["experiment"]["judged_by"] = "nll"
            record["experiment"]["data"]["fold"] = fold
            record["experiment"]["key"] += f"-{fold}"
            mean = [0.4, 0.9, 0.6][number] + fold * [0.5, 0, 0][number]
            record["metrics"]["nll"] = {"mean": mean, "ci95": 0.1, "per_step": [mean]}
            found.append(record)
    first, second = of_dataset(found, "quick", "omniglot")
    assert (first.metric, first.trials, second.trials) == ("nll", 3, 3)
    assert first.setting.endswith("fold 0")
    assert (first.best, second.best) == ("inner_lr=0.0", "inner_lr=0.2")
    assert first.expected[-1] == 0.4


@pytest.mark.parametrize(
    "earlier",
    [{"iterations": 300}, {"judged_by": "nll"}],
    ids=["length", "measure"],
)
def test_trials_of_an_earlier_choice_are_left_out_and_counted(trials, runs, earlier):
    """Whichever are the longer ones, those that were made last are the choice."""
    latest, before = trials("omniglot", [0.1, 0.5, 0.3]), trials("omniglot", [0.9, 0.8])
    for record in before:
        record["experiment"] |= earlier | {"key": record["experiment"]["key"] + "-before"}
        record["metrics"]["nll"] = record["metrics"]["accuracy"]
        record["provenance"]["date"] = "2026-11-01T10:00:00Z"
    for records in (before + latest, latest + before):
        (found,) = of_dataset(records, "quick", "omniglot")
        assert (found.trials, found.iterations, found.left_out) == (3, 10, 2)
        assert (found.metric, found.expected[-1]) == ("accuracy", 0.5)
    text = page.html("results", runs("omniglot") + before + latest)
    assert "10 (2 earlier trials of another length or measure left out)" in text
    assert "earlier trials" not in page.html("results", runs("omniglot") + latest)


@pytest.mark.parametrize("metric", ["auc", "headline"])
def test_a_record_without_the_metric_that_judges_it_is_named(trials, metric):
    found = trials("omniglot", [0.1, 0.5])
    found[1]["experiment"]["judged_by"] = metric
    says = rf"runs/quick-tuning/.*-1\.json: experiment\.judged_by is '{metric}'.*tune again"
    with pytest.raises(BenchError, match=says):
        of_dataset(found, "quick", "omniglot")
