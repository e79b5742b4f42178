import json
import os
import subprocess
import sys

import pytest
import torch

from bench import cli, failures, locks, records, runner, training, tuning
from bench.errors import BenchError
from bench.machine import Machine
from bench.suite import Study, Suite

CPU = Machine(accelerator="cpu")
DIVERGES = Suite(
    name="tiny",
    description="one of three diverges",
    studies=(
        Study(
            dataset="sinusoid",
            shots=(5,),
            iterations=6,
            validations=2,
            data={"val_episodes": 10, "test_episodes": 20},
            learner={"inner_steps": 3},
            algorithms={
                "maml": {"inner_lr": 1e30},
                "fomaml": {"inner_lr": 0.02},
                "random_init": {"inner_lr": 0.01},
            },
            sweep={"inner_lr": (0.01, 1e30)},
            sweep_iterations=4,
        ),
    ),
)
GRID = DIVERGES.experiments()


@pytest.fixture(autouse=True)
def no_probe(monkeypatch):
    """The cost of a meta-iteration is measured in tests/test_probe.py."""
    cost = dict.fromkeys(records.COST_FIELDS, 1.0)
    monkeypatch.setattr("bench.probe.measure", lambda spec, **options: cost)


def test_the_grid_goes_on_and_says_what_failed(tmp_path, console):
    with pytest.raises(BenchError, match=r"1 of 3 runs failed: .*--retry-failed tries again"):
        runner.run(GRID, tmp_path, console, CPU)
    text = " ".join(console.export_text().split())
    assert "MAML, first order" in text
    found = {r["experiment"]["algorithm"] for r in records.read_all(tmp_path, "tiny")}
    assert found == {"fomaml", "random_init"}
    (failure,) = failures.read(tmp_path, GRID).values()
    assert "meta-iteration 1: the loss is" in failure.message
    assert "task 0 (episode 0) is no longer finite after inner step" in failure.message
    note = json.loads(failures.path_of(tmp_path, GRID[0]).read_text())
    assert "Traceback" in note["traceback"]
    assert note["experiment"]["key"] == GRID[0].key


def test_what_diverged_is_tried_again_only_if_asked(tmp_path, console):
    with pytest.raises(BenchError):
        runner.run(GRID, tmp_path, console, CPU)
    assert runner.plan(GRID, tmp_path, console) == []
    text = " ".join(console.export_text().split())
    assert "3 runs, 2 done, 0 to do, 1 failed (--retry-failed tries again)" in text
    assert "failed sinusoid 5shot maml seed 0, 6 iterations: meta-iteration 1" in text
    with pytest.raises(BenchError, match="1 of 3 runs failed"):  # still
        runner.run(GRID, tmp_path, console, CPU)
    assert runner.plan(GRID, tmp_path, console, retry_failed=True) == [GRID[0]]


def test_a_success_takes_the_note_away(tmp_path, console, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("something [odd]")

    with monkeypatch.context() as patch:
        patch.setattr(training, "train", fail)
        with pytest.raises(BenchError, match=r"RuntimeError: something \[odd\]"):
            runner.run(GRID[1:2], tmp_path, console, CPU)
    assert failures.path_of(tmp_path, GRID[1]).exists()
    runner.run(GRID[1:2], tmp_path, console, CPU, retry_failed=True)
    assert not failures.path_of(tmp_path, GRID[1]).exists()


def test_what_the_user_can_mend_is_tried_again_unasked(tmp_path, console, monkeypatch):
    def fail(*args, **kwargs):
        raise BenchError("the data is not there")

    with monkeypatch.context() as patch:
        patch.setattr(training, "train", fail)
        with pytest.raises(BenchError, match="2 of 2 runs failed: the data is not there$"):
            runner.run(GRID[1:], tmp_path, console, CPU)
    runner.run(GRID[1:], tmp_path, console, CPU)
    assert len(records.read_all(tmp_path, "tiny")) == 2


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_names_what_would_need_less(tmp_path, error):
    message = failures.write(tmp_path, GRID[0], error).message
    assert message.startswith("out of memory (")
    assert "recompute=True" in message
    assert "tasks_per_batch=4" in message
    assert "order 1" in message
    assert "recompute" not in failures.write(tmp_path, GRID[1], error).message  # first order


def test_a_trial_that_diverged_does_not_end_a_sweep(tmp_path, console):
    with pytest.raises(BenchError, match="diverge|finite"):
        tuning.tune(DIVERGES, tmp_path, console, ["maml"], machine=CPU)
    assert "0.01" in (tmp_path / "tuning" / "tiny.csv").read_text()


def test_weights_that_are_not_finite_are_told_apart(tmp_path):
    (grid,) = DIVERGES.experiments(["fomaml"], settings={"outer_lr": float("inf")})
    with pytest.raises(BenchError, match="meta-iteration 2: .* was not finite after the iteration"):
        training.train(grid, tmp_path, machine=CPU, progress=False)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"key": 1, "message": 2, "again": 3}'])
def test_a_strange_note_is_named(tmp_path, content):
    path = failures.path_of(tmp_path, GRID[0])
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(BenchError, match=rf"{GRID[0].key}\.json: no note of a failed run"):
        failures.read(tmp_path, GRID)


# Several processes -------------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from bench import locks
with locks.held(Path(sys.argv[1])) as owner:
    print(owner, flush=True)
    sys.stdin.read()
"""


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path):
    path = tmp_path / "a" / ".lock"
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], **options) as process:
        assert process.stdout.readline() == b"None\n"
        with locks.held(path) as owner:
            assert owner.startswith(f"process {process.pid} on ")
        process.kill()
    with locks.held(path) as owner:
        assert owner is None


def test_a_run_of_another_process_is_left_to_it(tmp_path, console, monkeypatch):
    path = tmp_path / "checkpoints" / GRID[1].key / ".lock"
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], **options) as process:
        process.stdout.readline()
        runner.run(GRID[1:], tmp_path, console, CPU)
        process.kill()
    assert f"is run by process {process.pid}" in " ".join(console.export_text().split())
    assert len(records.read_all(tmp_path, "tiny")) == 1


COMMAND = ["run", "quick", "--datasets", "sinusoid", "--algorithms", "maml", "fomaml", "--set"]
COMMAND += ["iterations=20", "val_episodes=10", "test_episodes=20"]


def test_two_jobs_do_each_run_once_and_the_table_is_that_of_one(tmp_path, capfd):
    assert cli.main([*COMMAND, "--out", str(tmp_path / "two"), "--jobs", "2"]) == 0
    said = capfd.readouterr().out
    assert "job 1: " in said
    assert "job 2: " in said
    assert "MAML, second order" in said
    threads = max((os.cpu_count() or 1) // 2, 1)
    found = records.read_all(tmp_path / "two", "quick")
    assert len(found) == 2
    assert {r["provenance"]["threads"] for r in found} == {threads}
    assert sum("] sinusoid" in line and "run by" not in line for line in said.splitlines()) == 2


def test_jobs_must_be_a_number(tmp_path, capsys):
    assert cli.main([*COMMAND, "--out", str(tmp_path), "--jobs", "0"]) == 2
    assert "--jobs 0: give 1 or more" in capsys.readouterr().err
