import multiprocessing
import os
import shutil
import signal
import time

import pytest

from bench.base.errors import BenchError
from bench.cli import main as cli
from bench.results import records
from bench.results.schema import COST_FIELDS
from bench.running import grid, jobs, probe
from bench.running.launchers import local
from bench.running.launchers.local import Local, Worker
from bench.running.machine import Machine

CPU = Machine("cpu")

ONE_THREAD_EACH = ("--jobs", str(max(os.cpu_count() or 1, 2)))


def gone(pid):
    """Whether a process ends within half a minute."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_the_table_can_be_made_meanwhile(
    tmp_path, start, undisturbed, expected, capsys
):
    (done,) = undisturbed.glob("runs/tiny/*-fomaml-*.json")
    (tmp_path / "runs/tiny").mkdir(parents=True)
    shutil.copy(done, tmp_path / "runs/tiny")
    grid = start(tmp_path, *ONE_THREAD_EACH)
    pid = grid.worker()
    assert cli.main(["table", "tiny", "--out", str(tmp_path), "--format", "markdown"]) == 0
    os.kill(pid, signal.SIGKILL)
    table = capsys.readouterr().out
    assert "MAML, first order" in table
    assert "MAML, second order" not in table
    said = grid.ended()
    assert "5shot maml seed 0: its worker was killed (SIGKILL); it goes on" in said
    assert "going on after iteration" in said
    assert said.count("is done") == 1
    assert grid.result() == expected


@pytest.mark.slow
def test_ctrl_c_stops_the_workers(tmp_path, start):
    grid = start(tmp_path, *ONE_THREAD_EACH)
    pid = grid.worker()
    os.killpg(grid.process.pid, signal.SIGINT)  # as a terminal does
    assert "interrupted; run the same command again" in grid.ended(code=130)
    assert gone(pid)


@pytest.mark.slow
def test_a_killed_launcher_leaves_nobody_behind(tmp_path, start):
    grid = start(tmp_path, *ONE_THREAD_EACH)
    pid = grid.worker()
    grid.process.kill()
    assert gone(pid)


@pytest.mark.slow
def test_costs_are_measured_when_all_runs_have_ended(tmp_path, console, monkeypatch, suite):
    runs = suite.experiments()
    missing, used = [], []

    def measure(build, threads):
        missing.append([r["cost"] is None for r in records.read_all(tmp_path, "tiny")])
        used.append(threads)
        return dict.fromkeys(COST_FIELDS, 1.0)

    monkeypatch.setattr(probe, "measure", measure)
    grid.finish(runs, tmp_path, console, CPU, launcher=Local(2, CPU, {}))
    assert missing == [[True, True], [True, False]]
    assert set(used) == {max(local.cores() // 2, 1)}
    assert all(e.files(tmp_path).is_finished for e in runs)


def test_costs_are_measured_of_another_seed_where_the_first_has_failed(
    tmp_path, console, monkeypatch, suite
):
    runs = [e for e in suite.experiments(seeds=[0, 1, 2]) if e.algorithm == "maml"]

    def run_all(given, launcher, console):
        for job in given[1:]:  # the first has failed
            path = job.files.record
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            job.files.await_cost()

    measured = []
    monkeypatch.setattr(grid.workers, "run_all", run_all)
    monkeypatch.setattr(jobs, "measure", lambda job, console: measured.append(job.experiment.seed))
    grid.finish(runs, tmp_path, console, CPU, launcher=Local(2, CPU, {}))
    assert measured == [1]
    assert runs[2].files(tmp_path).is_finished


def test_a_cost_that_was_not_measured_before_a_kill_is_measured_later(
    tmp_path, console, monkeypatch, undisturbed, suite
):
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    runs = suite.experiments()
    for run in runs:
        run.files(tmp_path).await_cost()
    monkeypatch.setattr(probe, "measure", lambda *a, **o: dict.fromkeys(COST_FIELDS, 1.0))
    assert grid.plan(runs, tmp_path, console) == runs
    for run in runs:
        job = jobs.Job(run, tmp_path, CPU, "test", "later")
        assert jobs.do(job, console).state == "done"  # nothing is left to do but the cost
        assert not run.files(tmp_path).is_finished
        jobs.measure(job, console)
        assert run.files(tmp_path).is_finished
    assert [r["cost"]["ms_per_iteration"] for r in records.read_all(tmp_path, "tiny")] == [1, 1]


def test_a_machine_does_as_many_runs_as_it_serves_best(monkeypatch):
    monkeypatch.undo()  # of what holds for other tests
    monkeypatch.setattr(local, "cores", lambda: 4)
    monkeypatch.setattr(local, "has_gpu", lambda: False)
    assert Local.usual(CPU) in (1, 2, 3, 4)  # fewer where memory is short
    monkeypatch.setattr(local, "MEMORY", 2**20)
    assert Local.usual(CPU) == Local.usual(Machine("auto")) == 4
    monkeypatch.setattr(local, "has_gpu", lambda: True)
    assert Local.usual(Machine("auto")) == Local.usual(Machine("gpu")) == 1
    few, asked = Local(None, CPU, {}), Local(4, CPU, {})
    few.expect(2)
    asked.expect(2)
    assert (few.at_once, few.threads) == (2, 2)
    assert few.where == "2 at a time on this machine, 2 threads each"
    assert (asked.at_once, asked.threads) == (4, 1)


def test_a_job_is_not_given_to_an_idle_process_that_was_killed(monkeypatch):
    launcher = Local(1, CPU, {})
    (killed, other), (here, there) = multiprocessing.Pipe(), multiprocessing.Pipe()
    other.close()
    launcher.idle = [Worker(None, killed)]
    monkeypatch.setattr(launcher, "_new", lambda: Worker(None, here))
    launcher.submit(["a job"])
    assert there.recv() == "a job"
    assert list(launcher.busy) == [here]


def test_there_are_no_options():
    with pytest.raises(BenchError, match="partition: local has no options"):
        Local(2, Machine(), {"partition": "gpu"})


def test_workers_use_one_device_each(tmp_path, capsys):
    flags = ["--jobs", "2", "--devices", "2", "--out", str(tmp_path)]
    assert cli.main(["run", "quick", *flags]) == 2
    assert "workers use one device each" in capsys.readouterr().err


def test_a_misspelt_launcher_gets_the_nearest(tmp_path, capsys):
    assert cli.main(["run", "quick", "--launcher", "slrum", "--out", str(tmp_path)]) == 2
    assert "did you mean slurm" in capsys.readouterr().err
