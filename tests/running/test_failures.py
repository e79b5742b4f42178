import json
import os
import subprocess
import sys
import threading
import time
import weakref

import pytest
import torch

from bench.base import paths
from bench.base.errors import BenchError, RunsLeft
from bench.cli import main as cli
from bench.results import failed, records
from bench.results.schema import COST_FIELDS
from bench.running import failures, grid, jobs, training, tuning
from bench.running.machine import Machine
from bench.running.suite import Study, Suite

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
            trial_iterations=4,
        ),
    ),
)
GRID = DIVERGES.experiments()


@pytest.fixture(autouse=True)
def no_probe(monkeypatch):
    """The cost of a meta-iteration is measured in tests/test_probe.py."""
    cost = dict.fromkeys(COST_FIELDS, 1.0)
    monkeypatch.setattr("bench.running.probe.measure", lambda spec, **options: cost)


def test_the_grid_goes_on_and_says_what_failed(tmp_path, console):
    with pytest.raises(BenchError, match=r"1 of 3 runs failed: .*--retry-failed tries again"):
        grid.run(GRID, tmp_path, console, CPU)
    text = " ".join(console.export_text().split())
    assert "MAML, first order" in text
    found = {r["experiment"]["algorithm"] for r in records.read_all(tmp_path, "tiny")}
    assert found == {"fomaml", "random_init"}
    (failure,) = failed.read(tmp_path, [e.fields for e in GRID]).values()
    assert "meta-iteration 1: the loss is" in failure.message
    assert "task 0 (episode 0) is no longer finite after inner step" in failure.message
    note = json.loads(GRID[0].files(tmp_path).failure.read_text())
    assert note["traceback"] == ""  # no mishap: the message says all
    assert note["experiment"]["key"] == GRID[0].key


def test_what_diverged_is_tried_again_only_if_asked(tmp_path, console):
    with pytest.raises(BenchError):
        grid.run(GRID, tmp_path, console, CPU)
    assert grid.plan(GRID, tmp_path, console) == []
    text = " ".join(console.export_text().split())
    assert "3 runs, 2 done, 0 to do, 1 failed (--retry-failed tries again)" in text
    assert "failed sinusoid 5shot maml seed 0, 6 iterations: meta-iteration 1" in text
    with pytest.raises(BenchError, match="1 of 3 runs failed"):  # still
        grid.run(GRID, tmp_path, console, CPU)
    assert grid.plan(GRID, tmp_path, console, retry_failed=True) == [GRID[0]]


def test_a_success_takes_the_note_away(tmp_path, console, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("something [odd]")

    with monkeypatch.context() as patch:
        patch.setattr(training, "train", fail)
        with pytest.raises(BenchError, match=r"RuntimeError: something \[odd\]"):
            grid.run(GRID[1:2], tmp_path, console, CPU)
    assert "Traceback" in json.loads(GRID[1].files(tmp_path).failure.read_text())["traceback"]
    grid.run(GRID[1:2], tmp_path, console, CPU, retry_failed=True)
    assert not GRID[1].files(tmp_path).failure.exists()


def test_what_the_user_can_mend_is_tried_again_unasked(tmp_path, console, monkeypatch):
    def fail(*args, **kwargs):
        raise BenchError("the data is not there")

    with monkeypatch.context() as patch:
        patch.setattr(training, "train", fail)
        with pytest.raises(BenchError, match="2 of 2 runs failed: the data is not there$"):
            grid.run(GRID[1:], tmp_path, console, CPU)
    grid.run(GRID[1:], tmp_path, console, CPU)
    assert len(records.read_all(tmp_path, "tiny")) == 2


def test_a_note_from_the_future_does_not_block_its_run(tmp_path, console):
    """As where the clock of a file server is ahead, or was set back."""
    failures.note(tmp_path, GRID[1], BenchError("the data is not there"))
    tomorrow = time.time() + 86_400
    os.utime(GRID[1].files(tmp_path).failure, (tomorrow, tomorrow))
    grid.run(GRID[1:2], tmp_path, console, CPU)
    assert "1 to do" in console.export_text()
    assert GRID[1].files(tmp_path).is_finished


def test_what_another_process_has_failed_at_meanwhile_is_left(tmp_path, console, monkeypatch):
    monkeypatch.setattr(training, "train", None)  # nothing is trained
    files = GRID[1].files(tmp_path)
    failures.note(tmp_path, GRID[1], BenchError("before"))
    os.utime(files.failure, (1, 1))
    before = files.last_failed
    failures.note(tmp_path, GRID[1], BenchError("by another process"))
    for failed_before in (None, before):
        job = jobs.Job(GRID[1], tmp_path, CPU, "test", False, failed_before)
        assert jobs.do(job, console).message == "was done by another process meanwhile"
    assert files.failure.exists()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_out_of_memory_is_told_from_other_errors(tmp_path, error):
    failure = failures.note(tmp_path, GRID[0], error)
    assert failure.message.startswith("out of memory (")
    assert not failure.again
    assert "out of memory" not in failures.note(tmp_path, GRID[0], RuntimeError("else")).message


def test_what_has_filled_the_memory_is_freed_before_the_note_is_written(tmp_path, monkeypatch):
    class Graph:
        """Which is also part of a cycle."""

    def fill():
        graph = Graph()
        graph.itself = graph
        alive.append(weakref.ref(graph))
        try:
            raise MemoryError
        except MemoryError as error:
            raise RuntimeError("out of memory") from error

    alive, freed, write_text = [], [], paths.write_text

    def note(*arguments):
        freed.append(alive[0]() is None)
        write_text(*arguments)

    monkeypatch.setattr(paths, "write_text", note)
    try:
        fill()
    except RuntimeError as error:
        failures.note(tmp_path, GRID[0], error)
    assert freed == [True]


def test_a_trial_that_diverged_does_not_end_a_sweep(tmp_path, console):
    (row,) = tuning.tune(DIVERGES, tmp_path, console, ["maml"], machine=CPU).values()
    assert row.tried[1] == ({"inner_lr": 1e30}, None)
    assert (row.best, row.trials) == ({"inner_lr": 0.01}, 2)
    assert "1 of 2 trials diverged, and count as the worst" in console.export_text()
    assert "0.01" in (tmp_path / "tuning" / "tiny.csv").read_text()


@pytest.mark.parametrize(
    "change",
    [
        lambda note: "",
        lambda note: "{}",
        lambda note: "[1]",
        lambda note: json.dumps(note | {"message": 2}),
        lambda note: json.dumps(note | {"message": "\x1b[2J"}),
        lambda note: json.dumps(note | {"key": "another"}),
        lambda note: json.dumps(note | {"experiment": note["experiment"] | {"seed": "0"}}),
        lambda note: json.dumps(note | {"experiment": note["experiment"] | {"suite": "../up"}}),
        lambda note: json.dumps(note | {"experiment": note["experiment"] | {"suite": "other"}}),
        lambda note: json.dumps(note | {"experiment": {"suite": "tiny"}}),
    ],
)
def test_a_strange_note_is_named(tmp_path, change):
    failures.note(tmp_path, GRID[0], ValueError("why"))
    assert failed.read_all(tmp_path, "tiny") == list(
        failed.read(tmp_path, [e.fields for e in GRID]).values()
    )
    path = GRID[0].files(tmp_path).failure
    path.write_text(change(json.loads(path.read_text())))
    for read in (
        lambda: failed.read(tmp_path, [e.fields for e in GRID]),
        lambda: failed.read_all(tmp_path),
    ):
        with pytest.raises(BenchError, match=rf"{GRID[0].key}\.json: no note of a failed run"):
            read()


# Several processes -------------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from bench.base import locks
with locks.held(Path(sys.argv[1])) as owner:
    print(owner, flush=True)
    sys.stdin.read()
"""


def test_a_run_of_another_process_is_left_to_it(tmp_path, console, monkeypatch):
    path = tmp_path / "checkpoints" / GRID[1].key / ".lock"
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], **options) as process:
        process.stdout.readline()
        with pytest.raises(RunsLeft, match=f"1 of 2 runs are left .* .process {process.pid} on"):
            grid.run(GRID[1:], tmp_path, console, CPU)
        process.kill()
    assert f"is run by process {process.pid}" in " ".join(console.export_text().split())
    assert len(records.read_all(tmp_path, "tiny")) == 1


def test_a_patient_job_waits_for_the_lock_of_a_lost_machine(tmp_path, console):
    job = jobs.Job(GRID[1], tmp_path, CPU, "test", False, patience=60)
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(job.files.lock)], **options) as process:
        process.stdout.readline()
        threading.Timer(0.7, process.kill).start()
        assert jobs.do(job, console).state == "done"
    assert jobs.do(job, console) == ("left", "was done by another process meanwhile", ())


def test_jobs_must_be_a_number(tmp_path, capsys):
    assert cli.main(["run", "quick", "--out", str(tmp_path), "--jobs", "0"]) == 2
    assert "--jobs 0: give 1 or more" in capsys.readouterr().err
