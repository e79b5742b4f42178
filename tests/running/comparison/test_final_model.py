"""Values and iterations that folds have chosen."""

from bench.results.tuned import Row
from bench.running.comparison import final_model
from bench.running.experiment import Experiment


def row(scores):
    tried = list(zip(({"outer_lr": 0.1}, {"outer_lr": 0.2}, {"outer_lr": 0.3}), scores))
    known = [s for s in scores if s is not None]
    return Row(
        dataset="student",
        setting="10shot",
        algorithm="rasch",
        label="Rasch",
        space={"outer_lr": ["log", 0.01, 1.0]},
        is_grid=False,
        metric="auc",
        higher_is_better=True,
        iterations=100,
        episodes=5,
        best=tried[scores.index(max(known))][0],
        score=max(known),
        at_edge=[],
        trials=3,
        tried=tried,
    )


def test_the_best_over_all_folds_is_not_the_best_of_one():
    rows = [row([0.9, 0.8, 0.1]), row([0.5, 0.8, 0.9])]
    assert final_model.values_of(rows) == {"outer_lr": 0.2}


def test_what_diverged_in_a_fold_is_its_worst():
    assert final_model.values_of([row([0.9, None, 0.6]), row([0.6, 0.8, 0.6])])["outer_lr"] == 0.1


def test_all_students_are_trained_on_for_the_median_of_the_iterations():
    data = {"source": "a.csv", "folds": 5}
    folds = [
        Experiment("compare-a", "student", "rasch", 100, data=data | {"fold": k}) for k in range(3)
    ]
    found = final_model.experiment_of(folds, [20, 80, 40], [])
    assert (found.iterations, found.validations) == (40, 1)
    assert found.data == data | {"folds_from": "nothing"}
