"""How workers are watched, whoever they are: here they are played by the test."""

import os
import signal

import pytest

from bench.base import paths
from bench.base.errors import BenchError, Interrupted
from bench.results import failed
from bench.running import failures, workers
from bench.running.experiment import Experiment
from bench.running.jobs import Job, Outcome
from bench.running.machine import Machine
from bench.running.workers import ATTEMPTS, Launcher, Lost, run_all

GRID = [Experiment("tiny", "sinusoid", name, 4, 1) for name in ("maml", "fomaml", "random_init")]


class Played(Launcher):
    """Does what a script says.

    Args:
        script: for each algorithm what becomes of its run, attempt by attempt.
        at_once: how many jobs it takes at a time.
    """

    where = "played"

    def __init__(self, script, at_once=None):
        self.script = {name: list(outcomes) for name, outcomes in script.items()}
        self.at_once, self.running, self.most, self.end = at_once, [], 0, None
        self.submitted = []

    def submit(self, jobs):
        self.running += jobs
        self.submitted += [(job.experiment.algorithm, job.patience) for job in jobs]
        self.most = max(self.most, len(self.running))

    def ended(self):
        if not self.running:
            return []
        job = self.running.pop(0)
        outcome = self.script[job.experiment.algorithm].pop(0)
        if outcome == "Ctrl-C":
            self.running.append(job)
            os.kill(os.getpid(), signal.SIGINT)
            return []
        if outcome == Outcome("done"):
            path = job.experiment.files(job.out).record
            paths.write_text(path, "the record")
        return [(job, outcome)]

    def stop(self):
        self.end = "stopped"

    def close(self):
        self.end = "closed"


def jobs(out):
    return [Job(e, out, Machine(), "test", False) for e in GRID]


DONE = Outcome("done")
ALL_DONE = {"maml": [DONE], "fomaml": [DONE], "random_init": [DONE]}


@pytest.mark.parametrize(("at_once", "most"), [(None, 3), (1, 1), (2, 2), (5, 3)])
def test_every_run_is_handed_out_once_and_no_more_at_a_time_than_asked_for(
    tmp_path, console, at_once, most
):
    launcher = Played(ALL_DONE, at_once)
    run_all(jobs(tmp_path), launcher, console)
    assert [name for name, _ in launcher.submitted] == ["maml", "fomaml", "random_init"]
    assert launcher.most == most
    assert launcher.end == "closed"
    text = console.export_text()
    assert "3 runs, played" in text
    assert "maml seed 0 is done (1 of 3" in text
    assert "random_init seed 0 is done (3 of 3)" in text


def test_what_a_lost_worker_was_doing_is_handed_out_again_with_patience(tmp_path, console):
    launcher = Played(ALL_DONE | {"maml": [Lost("fell over"), DONE]})
    run_all(jobs(tmp_path), launcher, console)
    assert [patience > 0 for name, patience in launcher.submitted if name == "maml"] == [
        False,
        True,
    ]
    assert "maml seed 0: its worker fell over; it goes on" in console.export_text()
    assert not failed.read(tmp_path, [e.fields for e in GRID])


def test_a_run_whose_workers_are_all_lost_has_failed_and_the_others_are_done(tmp_path, console):
    script = ALL_DONE | {"maml": [Lost("was killed", killed=True)] * ATTEMPTS}
    run_all(jobs(tmp_path), Played(script), console)
    (failure,) = failed.read(tmp_path, [e.fields for e in GRID]).values()
    assert failure.message.startswith(
        f"its worker was lost {ATTEMPTS} times; the last one was killed"
    )
    assert "where memory ran out" in failure.message
    assert "engine=loop" in failure.message
    assert failure.again  # a machine may have been restarted
    assert "has failed (3 of 3)" in console.export_text()


def test_a_failure_and_what_was_said_are_shown(tmp_path, console):
    failures.note(tmp_path, GRID[0], ValueError("too [much]"))
    failed = Outcome("failed", "too [much]", ("going on after iteration 7",))
    left = Outcome("left", "is run by process 7 on elsewhere")
    run_all(jobs(tmp_path), Played(ALL_DONE | {"maml": [failed], "fomaml": [left]}), console)
    text = console.export_text()
    assert "maml seed 0 has failed (1 of 3" in text
    assert "too [much]" in text
    assert "  going on after iteration 7" in text
    assert "fomaml seed 0 is run by process 7 on elsewhere (2 of 3" in text


def test_who_does_a_run_is_told_as_its_lock_says(tmp_path, console):
    class Locking(Played):
        def ended(self):
            for job in self.running[:1]:
                paths.write_text(job.files.lock, "\nprocess 7 on elsewhere")
            return super().ended()

    before = jobs(tmp_path)[2].files.lock
    paths.write_text(before, "\nprocess 1 on yesterday")
    run_all(jobs(tmp_path), Locking(ALL_DONE), console)
    text = console.export_text()
    assert text.count("starts: process 7 on elsewhere") == 3
    assert "yesterday" not in text


def test_ctrl_c_stops_the_workers(tmp_path, console):
    launcher = Played(ALL_DONE | {"maml": ["Ctrl-C", DONE]})
    with pytest.raises(Interrupted):
        run_all(jobs(tmp_path), launcher, console)
    assert launcher.end == "stopped"


def test_an_out_folder_that_is_not_shared_is_said(tmp_path, console, monkeypatch):
    monkeypatch.setattr(workers, "VISIBLE", 0.0)
    launcher = Played({"maml": [Outcome("done", "elsewhere")]})
    with pytest.raises(BenchError, match="--out must be a folder that all machines share"):
        run_all(jobs(tmp_path)[:1], launcher, console)
    assert launcher.end == "stopped"
