import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from bench.results import records, tuned
from bench.running import choices, tuning
from bench.running.experiment import Experiment
from bench.running.machine import Machine
from bench.running.suite import Study, Suite

RESULTS = Path(__file__).resolve().parents[2] / "results"
SUITE = Suite(
    "tiny",
    "for tests",
    (
        Study(
            "sinusoid",
            {"maml": {"inner_lr": 0.01}, "no_adaptation": {}},
            iterations=4,
            shots=(3,),
            data={"val_episodes": 3, "test_episodes": 3, "tasks_per_batch": 2},
            learner={"model_options": {"hidden": [4]}},
            sweep={"inner_lr": (0.001, 0.01, 1e9)},
            trial_iterations=2,
        ),
    ),
)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A folder with the trials of the suite's sweep."""
    folder = tmp_path_factory.mktemp("out")
    tuning.tune(SUITE, folder, Console(file=io.StringIO()), machine=Machine("cpu"))
    return folder


def best(out):
    trials = [r for r in records.read_all(out, "tiny-tuning") if r["metrics"]["mse"]["mean"]]
    return min(trials, key=lambda r: r["metrics"]["mse"]["mean"])["experiment"]["learner"]


def chosen(out, **settings):
    (experiment,) = SUITE.experiments(["maml"], settings=settings)
    return choices.describe(experiment, out)


def test_without_trials_nothing_was_tuned(tmp_path):
    assert chosen(tmp_path) == "default"
    assert chosen(tmp_path, inner_lr=0.5) == "set by the user: inner_lr=0.5; others: default"


def test_the_best_of_the_trials_is_said_with_their_number(out):
    rate = best(out)["inner_lr"]
    study = SUITE.studies[0]
    arguments = {"data": {"shots": 3, **study.data}, "learner": dict(study.learner)}
    of_best, of_others = (
        choices.describe(
            Experiment(
                "tiny",
                "sinusoid",
                "maml",
                4,
                data=arguments["data"],
                learner=arguments["learner"] | {"inner_lr": value},
            ),
            out,
        )
        for value in (rate, 0.0123)
    )
    count = len(list(out.glob("runs/tiny-tuning/*.json")))
    words = f"inner_lr: best of {count} trials on validation episodes (tiny-tuning)"
    assert of_best == f"{words}; others: default"
    assert of_others == "default"


def test_what_the_user_sets_was_not_tuned_and_other_tasks_do_not_count(out):
    rate = best(out)["inner_lr"]
    assert "best of" not in chosen(out, inner_lr=rate)
    (experiment,) = SUITE.experiments(["maml"], shots=[4])
    assert choices.describe(experiment, out) == "default"
    assert "best of" not in chosen(out, outer_lr=0.5)  # the trials had another


def test_an_algorithm_without_what_is_swept_is_at_its_defaults(out):
    (experiment,) = SUITE.experiments(["no_adaptation"])
    assert choices.describe(experiment, out) == "default"


@pytest.mark.parametrize("path", sorted(RESULTS.glob("runs/*/*.json")), ids=lambda p: p.stem)
def test_committed_records_claim_what_the_committed_trials_show(path):
    record = json.loads(path.read_text())
    if record["experiment"]["suite"].endswith("-tuning"):
        assert record["chosen"] in (choices.TRIAL, choices.SEARCH)
        return
    claimed = [part for part in record["chosen"].split("; ") if "best of" in part]
    if "tuned" in record:
        experiment, of = record["experiment"], record["tuned"]
        names, suite = of["values"], experiment["suite"]
        assert claimed == [choices.best_of(names, of["trials"], suite)]
        assert of["values"].items() <= (experiment["data"] | experiment["learner"]).items()
        rows = tuned.read(tuned.path_in(RESULTS, suite)).values()
        assert any((r.best, r.trials, r.score) == (names, of["trials"], of["score"]) for r in rows)
    else:
        assert claimed == choices.tuned(record["experiment"], RESULTS)
    words = "best of .* trials|default|set by the user"
    assert all(re.search(words, part) for part in record["chosen"].split("; "))
