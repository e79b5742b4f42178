"""Trials as the report has them: the choice that was made, and no other."""

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
