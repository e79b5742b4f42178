import json
import re

import pandas as pd
import pytest

from bench.base import locks
from bench.base.errors import BenchError, RunsLeft
from bench.results import records, tuned
from bench.results.schema import COST_FIELDS
from bench.running import grid, training, tuning
from bench.running.experiment import Experiment
from bench.running.machine import Machine
from bench.running.suite import Study, Suite

CPU = Machine(accelerator="cpu")
SUITE = Suite(
    name="tiny",
    description="for tests",
    studies=(
        Study(
            dataset="sinusoid",
            shots=(5,),
            iterations=8,
            validations=2,
            data={"val_episodes": 10, "test_episodes": 20},
            learner={"inner_steps": 2},
            algorithms={
                "maml": {"inner_lr": 0.01},
                "fomaml": {"inner_lr": 0.02},
                "no_adaptation": {},
                "random_init": {"inner_lr": 0.01},
            },
            sweep={"inner_lr": (0.01, 0.02)},
            trial_iterations=4,
        ),
    ),
)


@pytest.fixture(autouse=True)
def no_probe(monkeypatch):
    """The cost of a meta-iteration is measured in tests/test_probe.py."""
    cost = dict.fromkeys(COST_FIELDS, 1.0)
    monkeypatch.setattr("bench.running.probe.measure", lambda spec, **options: cost)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished grid."""
    from rich.console import Console

    out = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        cost = dict.fromkeys(COST_FIELDS, 1.0)
        patch.setattr("bench.running.probe.measure", lambda spec, **options: cost)
        grid.run(SUITE.experiments(), out, Console(quiet=True), CPU)
    return out


def test_a_grid_ends_in_records_tables_and_figures(finished):
    found = records.read_all(finished, "tiny")
    assert {r["experiment"]["algorithm"] for r in found} == set(SUITE.studies[0].algorithms)
    for record in found:
        assert record["evaluation"]["index"] == list(range(20))
        assert len(record["evaluation"]["per_episode"]["mse"]) == 20
    for ending in ("md", "csv", "tex"):
        assert (finished / "tables" / f"tiny.{ending}").stat().st_size
    assert list((finished / "figures").glob("*.png"))


def test_only_what_trains_has_a_cost_and_a_history(finished):
    for record in records.read_all(finished, "tiny"):
        trained = record["experiment"]["algorithm"] != "random_init"
        assert record["training"]["iterations"] == (8 if trained else 0)
        assert [i for i, _ in record["training"]["validation"]] == ([4, 8] if trained else [])
        assert (record["cost"] is not None) == trained


def test_validations_after_the_best_one_are_kept(tmp_path):
    """The best weights come with what was known when they were saved."""
    settings = {"outer_lr": 1e-30, "validations": 4}  # none is better than the first
    (experiment,) = SUITE.experiments(["maml"], settings=settings)
    for split in ("test", "val"):
        found = training.train(experiment, tmp_path / split, split, CPU, progress=False)["training"]
        assert found["best_iteration"] == 2
        assert [i for i, _ in found["validation"]] == [2, 4, 6, 8]


def test_a_finished_grid_is_not_run_again(finished, console, monkeypatch):
    monkeypatch.setattr("bench.running.training.train", None)
    grid.run(SUITE.experiments(), finished, console, CPU)
    text = console.export_text()
    assert "4 runs, 4 done, 0 to do" in text
    assert "MAML, second order" in text


def test_the_same_command_gives_the_same_record(finished, tmp_path, console):
    experiments = SUITE.experiments(["maml"])
    grid.run(experiments, tmp_path, console, CPU)
    first, second = (
        json.loads(experiments[0].files(out).record.read_text()) for out in (finished, tmp_path)
    )
    for part in ("experiment", "metrics", "evaluation"):
        assert first[part] == second[part]
    assert first["training"]["validation"] == second["training"]["validation"]


def test_the_plan_says_what_is_done(finished, console):
    to_do = grid.plan(SUITE.experiments(seeds=[0, 1]), finished, console)
    assert [e.seed for e in to_do] == [1] * 4
    assert "8 runs, 4 done, 4 to do" in console.export_text()


def test_an_interrupted_run_says_so_and_leaves_no_record(tmp_path, console, monkeypatch):
    from bench.data.sinusoid import SinusoidDataModule

    def interrupt(self, split, index):
        raise KeyboardInterrupt

    monkeypatch.setattr(SinusoidDataModule, "episodes", interrupt)
    with pytest.raises(BenchError, match="interrupted"):
        grid.run(SUITE.experiments(), tmp_path, console, CPU)
    assert not records.read_all(tmp_path, "tiny")


def test_runs_that_another_process_still_has_are_a_code_of_their_own(tmp_path, console):
    experiments = SUITE.experiments(["random_init", "no_adaptation"])
    with locks.held(experiments[0].files(tmp_path).lock):
        with pytest.raises(RunsLeft) as left:
            grid.run(experiments, tmp_path, console, CPU)
        assert left.value.code == 3
        words = f"1 of 2 runs are left to other processes, .*such as {experiments[0].key} .process"
        assert re.search(words, str(left.value))
        with pytest.raises(RunsLeft):
            grid.run(experiments, tmp_path, console, CPU)
    text = console.export_text()
    assert "is run by process" in text
    assert "not adapted" in text.lower() or "no adaptation" in text.lower()  # the table so far
    grid.run(experiments, tmp_path, console, CPU)
    assert len(records.read_all(tmp_path, "tiny")) == 2


def test_a_failure_is_said_before_what_is_left(tmp_path, console, monkeypatch):
    experiments = SUITE.experiments(["random_init", "no_adaptation"])

    def fail(*args):
        raise RuntimeError("fell over")

    monkeypatch.setattr("bench.running.training.train", fail)
    with locks.held(experiments[0].files(tmp_path).lock), pytest.raises(BenchError) as error:
        grid.run(experiments, tmp_path, console, CPU)
    assert error.value.code == 2
    assert "1 of 2 runs failed: RuntimeError: fell over" in str(error.value)


def test_trials_that_another_process_still_has_are_said_after_the_table(tmp_path, console):
    first = tuning.searches(SUITE, algorithms=["random_init"])[0].trials[0].experiment
    with locks.held(first.files(tmp_path).lock), pytest.raises(RunsLeft):
        tuning.tune(SUITE, tmp_path, console, ["random_init", "maml"], machine=CPU)
    assert (tmp_path / "tuning" / "tiny.csv").read_text().count("random_init") == 1
    (row,) = tuned.read(tmp_path / "tuning" / "tiny.json").values()  # that is whole
    assert row.algorithm == "maml"


def test_the_sweep_gives_every_order_the_same_budget_and_marks_the_best(tmp_path, console):
    rows = tuning.tune(SUITE, tmp_path, console, machine=CPU)
    frame = pd.read_csv(tmp_path / "tuning" / "tiny.csv")
    assert len(frame) == 2 * 3  # no_adaptation has no inner learning rate
    trained = frame[frame["algorithm"] != "random_init"]
    assert set(trained["iterations"]) == {4}
    assert set(frame["episodes"]) == {10}
    assert {row.algorithm for row in rows.values()} == {"maml", "fomaml", "random_init"}
    for row in rows.values():
        group = frame[frame["algorithm"] == row.algorithm].set_index("inner_lr")["value"]
        assert group.idxmin() == row.best["inner_lr"]
        assert round(row.score, 5) == group.min()
    assert all(r["evaluation"]["split"] == "val" for r in records.read_all(tmp_path))


def test_a_suite_without_a_sweep_cannot_be_tuned(tmp_path, console):
    with pytest.raises(BenchError, match="nothing to tune"):
        tuning.tune(Suite("none", "no sweep", ()), tmp_path, console)


def test_a_part_of_a_sweep_keeps_the_other_trials_in_the_table(tmp_path, console):
    tuning.tune(SUITE, tmp_path, console, machine=CPU)
    whole = {p.name: p.read_bytes() for p in (tmp_path / "tuning").iterdir()}
    assert {"tiny.csv", "tiny.json", "tiny.md"} == set(whole)
    tuning.tune(SUITE, tmp_path, console, ["maml"], machine=CPU)
    assert {p.name: p.read_bytes() for p in (tmp_path / "tuning").iterdir()} == whole
    assert "seed 0 (inner_lr=0.01)" in console.export_text()


def test_a_sweep_says_which_best_value_lies_at_an_edge(tmp_path, console):
    tuning.tune(SUITE, tmp_path, console, machine=CPU)
    text = console.export_text()
    assert "is at the edge of the candidates 0.01, 0.02" in " ".join(
        text.split()
    )  # there are only two


def test_a_misspelt_name_of_a_sweep_gets_the_nearest(tmp_path, console):
    with pytest.raises(BenchError, match="did you mean maml"):
        tuning.tune(SUITE, tmp_path, console, ["malm"])
    with pytest.raises(BenchError, match="did you mean sinusoid"):
        tuning.tune(SUITE, tmp_path, console, datasets=["sinusoids"])


def test_what_is_not_there_is_said_before_anything_is_trained(tmp_path):
    """Though random init is not trained, its record tells what data the others learn from."""
    (tmp_path / "data").mkdir()
    experiment = Experiment("tiny", "omniglot_runs", "random_init", 0, data={"ways": 20})
    machine = Machine(accelerator="cpu", data_root=tmp_path / "data")
    with pytest.raises(BenchError, match=r"omniglot\.packed: there is no such file yet: run .maml"):
        training.train(experiment, tmp_path, machine=machine, progress=False)
