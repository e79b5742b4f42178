"""The same number of trials for every algorithm, and runs that use what was best."""

import dataclasses
import json

import pytest

from bench.base import registry
from bench.base.errors import BenchError
from bench.cli import main as cli
from bench.results import records, tables, tuned
from bench.results.labels import label
from bench.running import choices, grid, tuning
from bench.running.machine import Machine
from bench.running.suite import Study, Suite
from bench.running.suites import quick
from bench.running.training import ValidationHistory
from bench.running.tuned_values import TunedValues

CPU = Machine(accelerator="cpu")
STUDY = Study(
    "sinusoid",
    {"anil": {}, "cnp": {}, "no_adaptation": {"iterations": 2}},
    iterations=4,
    shots=(3,),
    data={"val_episodes": 3, "test_episodes": 3, "tasks_per_batch": 2},
    learner={"model_options": {"hidden": [4]}},
    trial_iterations=2,
)
FIRST = dataclasses.replace(STUDY, algorithms={"anil": {}}, learner=STUDY.learner | {"order": 1})
SUITE = Suite("tiny", "for tests", (STUDY, FIRST), seeds=(0, 1))


@pytest.fixture(autouse=True)
def no_probe(monkeypatch):
    """What a meta-iteration costs is measured elsewhere."""
    monkeypatch.setattr("bench.running.jobs.cost", lambda *arguments: None)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A folder with three trials of everything."""
    from rich.console import Console

    folder = tmp_path_factory.mktemp("out")
    tuning.tune(SUITE, folder, Console(quiet=True), machine=CPU, count=3)
    return folder


def runs(out, suite=SUITE, **options):
    """The experiments of the suite with tuned values, and what is said of them."""
    values = TunedValues(suite.name, out)
    return suite.experiments(tuned=values, **options), " ".join(values.notes())


def test_trials_and_weights_are_chosen_by_the_judge_of_the_suite(tmp_path):
    """As ``compare`` does: by the log-loss, though tables report the AUC."""
    from rich.console import Console

    study = Study(
        "irt",
        {"bilevel_irt": {}},
        iterations=6,
        validations=3,
        shots=(3,),
        data={"val_episodes": 12, "test_episodes": 3, "tasks_per_batch": 4, "queries": 5},
    )
    suite, quiet = Suite("judged", "for tests", (study,), judged_by="nll"), Console(quiet=True)
    rows = tuning.tune(suite, tmp_path, quiet, machine=CPU, count=3).values()
    for row in rows:
        assert (row.metric, row.higher_is_better) == ("nll", False)
        assert row.score == min(row.scores)
    assert (
        suite.experiments()[0].key
        != dataclasses.replace(suite, judged_by=None).experiments()[0].key
    )
    (experiment,) = suite.experiments()
    assert grid.finish([experiment], tmp_path, quiet, CPU, keep_predictions=True)
    record = records.read(experiment.files(tmp_path).record)
    assert record["metrics"]["headline"] == "auc"
    assert 0.2 <= record["training"]["temperature"] <= 20


def test_the_best_iteration_is_that_of_the_judge():
    history = ValidationHistory("auc", "nll")
    assert history.best_iteration == 0
    history.values = [[5, 0.6], [10, 0.7], [15, 0.8]]
    history.judged = [[5, 0.6], [10, 0.5], [15, 0.7]]
    assert history.best_iteration == 10
    assert ValidationHistory("auc", "auc").best_iteration == 0


def test_every_algorithm_gets_the_same_trials_of_the_same_length(out):
    rows = tuned.read(tuned.path_in(out, "tiny"))
    labels = {"ANIL, second order", "ANIL, first order", "CNP", "no adaptation (joint training)"}
    assert {row.label for row in rows.values()} == labels
    trials = records.read_all(out)
    assert len(trials) == 3 * len(rows)
    assert {r["training"]["iterations"] for r in trials} == {2}
    assert {r["evaluation"]["split"] for r in trials} == {"val"}
    assert {r["chosen"] for r in trials} == {choices.SEARCH}
    assert {r["experiment"]["seed"] for r in trials} == {0}
    for row in rows.values():
        assert row.score == min(s for s in row.scores if s is not None)
        assert (row.best, row.score) in row.tried


def test_the_defaults_are_the_first_trial_and_both_orders_try_the_same(out):
    rows = {row.label: row for row in tuned.read(tuned.path_in(out, "tiny")).values()}
    second, first, cnp = (rows[n] for n in ("ANIL, second order", "ANIL, first order", "CNP"))
    assert second.tried[0][0] == {"outer_lr": 0.001, "inner_lr": 0.1}
    assert cnp.tried[0][0] == {"outer_lr": 0.001, "representation": 64}
    assert [v for v, _ in second.tried] == [v for v, _ in first.tried]
    assert rows["no adaptation (joint training)"].space == {"outer_lr": ["log", 0.0003, 0.01]}


def test_more_trials_add_to_those_that_are_done(out, console):
    few = tuning.searches(SUITE, 3)
    many = tuning.searches(SUITE, 5, ["anil"])
    assert {t.experiment.key for s in few[:1] for t in s.trials} < {
        t.experiment.key for t in many[0].trials
    }
    tuning.tune(SUITE, out, console, ["cnp"], machine=CPU, count=3)
    assert "3 runs, 3 done, 0 to do" in console.export_text()


def test_runs_take_the_best_values_and_say_so(out):
    experiments, notes = runs(out)
    rows = {row.label: row for row in tuned.read(tuned.path_in(out, "tiny")).values()}
    for e in experiments:
        row = rows[str(label(e.algorithm, e.learner_arguments))]
        assert row.best.items() <= e.learner_arguments.items()
        assert e.tuned == {"values": row.best, "trials": 3, "score": row.score}
        names = " and ".join(sorted(row.best))
        words = f"{names}: best of 3 trials on validation episodes (tiny-tuning); others: default"
        assert choices.describe(e, out) == words
    assert len(experiments) == 2 * 4
    assert {len(of) for of in _measured(experiments).values()} == {2}  # one of two seeds
    assert "tuned values of 4 rows, each the best of 3 trials" in notes
    assert "--untuned leaves them out" in notes


def _measured(experiments):
    """The runs that share what a meta-iteration costs: each order has its own."""
    found = {}
    for e in experiments:
        found.setdefault(grid._repetition(e), []).append(e)
    assert len(found) == 4
    return found


def test_what_the_user_sets_comes_first(out):
    (experiment,) = runs(out, algorithms=["cnp"], seeds=[0], settings={"outer_lr": 0.5})[0]
    assert experiment.learner_arguments["outer_lr"] == 0.5
    assert experiment.tuned["values"].keys() == {"representation"}
    words = choices.describe(experiment, out)
    assert words.startswith("representation: best of 3 trials")
    assert "set by the user: outer_lr=0.5" in words
    longer = runs(out, algorithms=["cnp"], seeds=[0], settings={"iterations": 9})[0][0]
    assert longer.tuned["values"].keys() == {"representation", "outer_lr"}


@pytest.mark.parametrize(
    "change",
    [
        {"learner": {"model_options": {"hidden": [5]}}},
        {"data": STUDY.data | {"queries": 7}},
        {"trial_iterations": 3},
    ],
)
def test_values_of_a_suite_that_has_changed_are_not_used(out, change):
    suite = dataclasses.replace(SUITE, studies=(dataclasses.replace(STUDY, **change),))
    experiments, notes = runs(out, suite)
    assert all(e.tuned is None for e in experiments)
    assert "changed since tuning" in notes
    assert "sinusoid 3shot anil, sinusoid 3shot cnp" in notes
    assert "maml-bench tune tiny" in notes
    assert {choices.describe(e, out) for e in experiments} == {"default"}


def test_values_of_other_ranges_are_not_used(out, monkeypatch):
    declared = registry.declaration("algorithms", "cnp")
    monkeypatch.setitem(declared.attributes["search"], "outer_lr", ("log", 1e-5, 1.0))
    experiments, notes = runs(out)
    assert {e.algorithm for e in experiments if e.tuned is None} == {"cnp"}
    assert "changed since tuning" in notes


def test_what_was_not_tuned_is_said(out):
    experiments, notes = runs(out, algorithms=["cnp", "maml"], shots=[3, 5])
    tuned_ones = {(e.algorithm, e.setting) for e in experiments if e.tuned}
    assert tuned_ones == {("cnp", "3shot")}
    listed = "sinusoid 3shot maml, sinusoid 5shot cnp, sinusoid 5shot maml"
    assert f"not tuned: {listed}; maml-bench tune tiny" in notes


def test_records_hold_what_was_used_and_tables_pair_the_orders(out, console, tmp_path):
    (tmp_path / "tuning").mkdir()
    (tmp_path / "tuning" / "tiny.json").write_bytes((out / "tuning" / "tiny.json").read_bytes())
    experiments, _ = runs(tmp_path, algorithms=["anil"])
    grid.run(experiments, tmp_path, console, CPU)
    found = records.read_all(tmp_path)
    assert all(r["tuned"]["values"].keys() == {"inner_lr", "outer_lr"} for r in found)
    first = [r for r in found if r["experiment"]["learner"]["order"] == 1]
    for record in first:  # as if each order had chosen for itself
        record["experiment"]["learner"]["inner_lr"] = 0.77
        record["tuned"]["values"]["inner_lr"] = 0.77
    table = tables.summary(found)
    assert table["label"].tolist() == ["ANIL, second order", "ANIL, first order"]
    assert table["verdict"][0]
    assert table["difference_runs"][0] == 2


def test_a_number_of_trials_makes_sense(console, tmp_path):
    with pytest.raises(BenchError, match="--trials 0: give 1 or more"):
        tuning.tune(SUITE, tmp_path, console, count=0)
    with pytest.raises(BenchError, match="no study in it has a sweep; --trials N"):
        tuning.tune(SUITE, tmp_path, console)
    bayes = Suite("none", "nothing to try", (Study("irt", {"bayes": {}}, iterations=1),))
    with pytest.raises(BenchError, match="has anything to tune"):
        tuning.tune(bayes, tmp_path, console, count=2)


def test_the_command_line_tunes_and_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quick, "SUITE", dataclasses.replace(SUITE, name="quick"))
    common = ["quick", "--algorithms", "cnp", "--out", str(tmp_path), "--accelerator", "cpu"]
    assert cli.main(["tune", *common, "--trials", "2"]) == 0
    assert "best of n trials" in " ".join(capsys.readouterr().out.split())
    assert (tmp_path / "figures" / "quick-tuning.png").exists()
    assert cli.main(["run", *common, "--seeds", "0", "--dry-run"]) == 0
    assert "tuned values of 1 row" in " ".join(capsys.readouterr().out.split())
    assert cli.main(["run", *common, "--seeds", "0"]) == 0
    assert cli.main(["run", *common, "--seeds", "0", "--untuned"]) == 0
    capsys.readouterr()
    found = [json.loads(p.read_text()) for p in (tmp_path / "runs" / "quick").iterdir()]
    values = [r["experiment"]["learner"]["outer_lr"] for r in found if "tuned" in r]
    (row,) = tuned.read(tuned.path_in(tmp_path, "quick")).values()
    assert values in ([row.best["outer_lr"]], []) or row.best == row.tried[0][0]
    (tmp_path / "tuning" / "quick.json").write_text("{}")
    assert cli.main(["run", *common, "--dry-run"]) == 2
    assert "quick.json: schema is missing" in capsys.readouterr().err


def test_the_project_s_own_file_serves_where_the_folder_has_none(out, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.base.paths.tuned_values", lambda suite: tuned.path_in(out, suite))
    experiments, notes = runs(tmp_path)
    assert all(e.tuned for e in experiments)
    assert str(tuned.path_in(out, "tiny")) in notes
