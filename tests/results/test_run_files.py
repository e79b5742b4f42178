import pytest

from bench.results import failed, records
from bench.results.schema import COST_FIELDS
from bench.running import failures, grid, jobs, probe
from bench.running.experiment import Experiment
from bench.running.machine import Machine

CPU = Machine(accelerator="cpu")
RUN = Experiment(
    "tiny", "sinusoid", "maml", 4, 2, data={"val_episodes": 4, "test_episodes": 6, "shots": 5}
)
COST = dict.fromkeys(COST_FIELDS, 1.0)


class PowerCut(BaseException):
    pass


def test_a_cost_that_was_not_measured_is_measured_by_the_next_command(
    tmp_path, console, monkeypatch
):
    def cut(build, **options):
        raise PowerCut

    monkeypatch.setattr(probe, "measure", cut)
    with pytest.raises(PowerCut):
        grid.finish([RUN], tmp_path, console, CPU)
    path = RUN.files(tmp_path).record
    first = records.read(path)
    assert first["cost"] is None
    assert not RUN.files(tmp_path).is_finished

    monkeypatch.setattr(probe, "measure", lambda build, **options: COST)
    monkeypatch.setattr("bench.running.training.train", None)  # nothing is trained again
    grid.finish([RUN], tmp_path, console, CPU)
    assert records.read(path) == first | {"cost": COST}
    assert RUN.files(tmp_path).is_finished
    assert jobs.do(jobs.Job(RUN, tmp_path, CPU, "test", True), console).state == "left"


def test_what_goes_wrong_while_measuring_is_said_and_does_not_fail_the_run(
    tmp_path, console, monkeypatch
):
    def fail(build, **options):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(probe, "measure", fail)
    grid.run([RUN], tmp_path, console, CPU)
    assert "cost not measured: [Errno 24] Too many open files" in console.export_text()
    assert RUN.files(tmp_path).is_finished


def test_a_finished_run_has_not_failed(tmp_path, console, monkeypatch):
    monkeypatch.setattr(probe, "measure", lambda build, **options: COST)
    grid.finish([RUN], tmp_path, console, CPU)
    failures.note(tmp_path, RUN, RuntimeError("before"))
    assert not failed.read(tmp_path, [RUN.fields])
    assert not failed.read_all(tmp_path)
