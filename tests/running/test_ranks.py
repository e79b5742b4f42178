import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

import bench
from bench.base import locks
from bench.base.errors import BenchError
from bench.checks import process_group
from bench.cli import main as cli
from bench.data.sinusoid import SinusoidDataModule
from bench.results import failed, records
from bench.results.schema import COST_FIELDS
from bench.running import grid, probe, ranks
from bench.running.experiment import Experiment
from bench.running.machine import Machine

DATA = {"tasks_per_batch": 8, "val_episodes": 7, "test_episodes": 17, "shots": 5}
GRID = [
    Experiment(
        "tiny", "sinusoid", name, 24, 3, data=DATA, learner={"outer_schedule": "cosine", **options}
    )
    for name, options in (("maml", {}), ("fomaml", {}), ("no_adaptation", {}))
]
TASK = 8 * 10 + 6  # of the second device, in the middle of an epoch of 8 meta-batches


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Other processes can import this file."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


def work(rank, out, happens=None, devices=2):
    """What one of several processes does of the grid, and what it says; ``happens`` to it."""
    probe.measure = lambda build, **options: dict.fromkeys(COST_FIELDS, 1.0)
    ranks.PATIENCE = timedelta(seconds=1)
    console, complaints = Console(record=True, width=160, file=io.StringIO()), io.StringIO()
    if happens:
        happens(rank)
    machine = Machine("cpu", devices, checkpoint_every=0)
    with contextlib.redirect_stderr(complaints):
        try:
            reports, error = grid.finish(GRID, out, console, machine), None
        except (BenchError, SystemExit) as ended:
            reports, error = None, f"{type(ended).__name__}: {ended}"
    return reports, error, console.export_text() + complaints.getvalue()


def at_task(does, of="train"):
    """Does something when the task is drawn."""
    draw = SinusoidDataModule.episodes

    def episodes(self, split, index):
        if split == of and TASK in index:
            does()
        return draw(self, split, index)

    SinusoidDataModule.episodes = episodes


def results(out):
    found = {}
    for path in out.glob("runs/tiny/*.json"):
        record = json.loads(path.read_text())
        part = record["metrics"], record["evaluation"], record["training"]["validation"]
        found[record["experiment"]["algorithm"]] = part
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a grid done by two devices, and what each said."""
    out = tmp_path_factory.mktemp("two")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2])
        return out, process_group.run(work, 2, 100, out)


def test_the_first_process_reports_and_the_others_are_silent(undisturbed):
    out, (first, second) = undisturbed
    assert first[:2] == (True, None)
    assert "3 runs, 0 done, 3 to do" in first[2]
    assert second == (False, None, "")
    assert not list(out.glob("checkpoints/*/*.resume"))


def test_records_are_those_of_one_device(undisturbed, tmp_path, console, monkeypatch):
    monkeypatch.setattr(probe, "measure", lambda build, **options: dict.fromkeys(COST_FIELDS, 1.0))
    grid.finish(GRID, tmp_path, console, Machine("cpu"))
    one, two = results(tmp_path), results(undisturbed[0])
    assert one.keys() == two.keys() == {"maml", "fomaml", "no_adaptation"}
    for name, (metrics, evaluation, validation) in one.items():
        other = two[name]
        assert evaluation["index"] == other[1]["index"] == list(range(17))
        rows, others = (e["per_episode"]["mse"] for e in (evaluation, other[1]))
        np.testing.assert_allclose(others, rows, rtol=1e-5)  # training is in float32
        np.testing.assert_allclose(other[2], validation, rtol=1e-5)
        assert other[0]["mse"]["mean"] == pytest.approx(metrics["mse"]["mean"], rel=1e-5)


# Stops -------------------------------------------------------------------------------------------


def told_to_stop(rank):
    """The device that draws the task, the second, is asked to stop."""
    at_task(lambda: os.kill(os.getpid(), signal.SIGTERM))


def told_to_stop_while_testing(rank):
    global TASK
    TASK = 2  # of the first device
    at_task(lambda: os.kill(os.getpid(), signal.SIGTERM), "test")


def power_cut(rank):
    """At the same meta-batch both processes are gone."""
    global TASK
    TASK = 8 * 10 + 2 + 4 * rank
    at_task(lambda: os.kill(os.getpid(), signal.SIGKILL))


@pytest.mark.slow
@pytest.mark.parametrize("happens", [told_to_stop, told_to_stop_while_testing])
def test_a_stop_is_everybodys_and_only_one_says_so(undisturbed, tmp_path, happens):
    first, second = process_group.run(work, 2, 60, tmp_path, happens)
    assert first[1].startswith("Interrupted: interrupted; run the same command again")
    assert second[1].startswith("SystemExit")
    assert not failed.read(tmp_path, [e.fields for e in GRID])
    goes_on(tmp_path, undisturbed)


@pytest.mark.slow
def test_a_power_cut_loses_nothing_that_was_saved(undisturbed, tmp_path):
    with pytest.raises(BenchError, match="signal SIGKILL"):
        process_group.run(work, 2, 60, tmp_path, power_cut)
    goes_on(tmp_path, undisturbed)


def goes_on(out, undisturbed):
    assert list(out.glob("checkpoints/*/*.resume"))
    first, _ = process_group.run(work, 2, 60, out)
    assert "going on after iteration" in first[2]
    assert results(out) == results(undisturbed[0])
    for path in out.glob("checkpoints/*/best.ckpt"):
        own, other = (
            torch.load(folder / path.relative_to(out), weights_only=True)["state_dict"]
            for folder in (out, undisturbed[0])
        )
        assert own
        assert all(torch.equal(own[n], other[n]) for n in own | other)  # bit for bit


# Failures ----------------------------------------------------------------------------------------


def not_finite(rank):
    """One task, of the second device, is spoilt."""
    draw = SinusoidDataModule.episodes

    def episodes(self, split, index):
        drawn = draw(self, split, index)
        if split == "train":
            drawn.query_y[torch.from_numpy(index == TASK)] = torch.nan
        return drawn

    SinusoidDataModule.episodes = episodes


def test_what_diverges_on_one_device_fails_on_all_and_the_grid_goes_on(tmp_path):
    first, second = process_group.run(work, 2, 60, tmp_path, not_finite)
    assert first[:2] == (True, None)
    assert second == (False, None, "")
    found = failed.read(tmp_path, [e.fields for e in GRID])
    assert found.keys() == {e.key for e in GRID}
    for failure in found.values():
        assert "meta-iteration 11: the loss is nan: task 2 (episode 86)" in failure.message


def odd_error(rank):
    def fail():
        raise RuntimeError("something odd")

    at_task(fail)


def unreadable(rank):
    def fail():
        raise BenchError("the file of this task is damaged")

    at_task(fail)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("happens", "noted"),
    [(odd_error, "RuntimeError: something odd"), (unreadable, "the file of this task is damaged")],
)
def test_what_fails_on_one_device_alone_ends_all_and_is_noted(tmp_path, happens, noted):
    first, second = process_group.run(work, 2, 60, tmp_path, happens)
    assert first[1].startswith(
        "ProcessesDiverged: another of the 2 processes has ended or hangs; run the same"
    )
    assert second[1] == "SystemExit: 1"
    assert f"process 2 of 2: {noted.removeprefix('RuntimeError: ')}" in second[2]
    (failure,) = failed.read(tmp_path, [e.fields for e in GRID]).values()
    assert failure.message == noted
    process_group.run(work, 2, 60, tmp_path)
    rest = {"fomaml", "no_adaptation"}
    assert results(tmp_path).keys() == (rest if happens is odd_error else {"maml", *rest})


def left_alone(rank):
    world = ranks.join(Machine("cpu", 2))
    if rank == 1:
        return None
    try:
        while True:
            world.all_reduce_max(0)
    except ranks.ProcessesDiverged as diverged:
        with pytest.raises(ranks.ProcessesDiverged) as again:
            world.gather_errors(diverged)
        return str(diverged), diverged.here, str(again.value)


def test_who_is_left_alone_says_so_and_nothing_failed(importable):
    (message, here, again), _ = process_group.run(left_alone, 2, 60)
    assert message.startswith("another of the 2 processes has ended or hangs; run the same command")
    assert again == message
    assert not here


def test_what_another_command_does_is_left_to_it_by_all(tmp_path):
    with locks.held(tmp_path / "checkpoints" / GRID[1].key / ".lock"):
        (_, error, said), _ = process_group.run(work, 2, 60, tmp_path)
    assert error is None
    assert f"is run by process {os.getpid()} on" in said
    assert results(tmp_path).keys() == {"maml", "no_adaptation"}


# How they are started ----------------------------------------------------------------------------


def test_devices_that_are_not_there_are_an_error(tmp_path, console):
    with pytest.raises(BenchError, match="accelerator='tpu', devices=2, num_nodes=1: "):
        grid.finish(GRID, tmp_path, console, Machine("tpu", 2))


def test_torchrun_says_how_many_there_are(monkeypatch):
    assert ranks.torchrun_devices() == (1, 1)
    for name, value in (("RUN_ID", "none"), ("WORLD_SIZE", "8"), ("LOCAL_WORLD_SIZE", "4")):
        monkeypatch.setenv("TORCHELASTIC_RUN_ID" if name == "RUN_ID" else name, value)
    assert ranks.torchrun_devices() == (4, 2)


def test_slurm_is_not_asked_to_queue_a_run_again(monkeypatch):
    assert ranks.plugins() == []
    monkeypatch.setenv("SLURM_NTASKS", "1")
    (environment,) = ranks.plugins()
    assert not environment.auto_requeue


COMMAND = "run quick --datasets sinusoid --algorithms fomaml --accelerator cpu --set iterations=20"
COMMAND = [*COMMAND.split(), *(f"{n}={v}" for n, v in DATA.items() if n != "shots")]
SLURM = {"NTASKS": 2, "NTASKS_PER_NODE": 2, "NNODES": 1, "NODEID": 0, "JOB_ID": 1}


def command(*arguments, **environment):
    given = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(bench.__file__).parents[1]),
    }
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=given | {n: str(v) for n, v in environment.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def by_lightning(out):
    return [command("-m", "bench", *COMMAND, "--devices", 2, "--out", out)]


def by_torchrun(out):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2]
    return [command(*launcher, "-m", "bench", *COMMAND, "--out", out)]


def by_slurm(out):
    both = {f"SLURM_{name}": value for name, value in SLURM.items()}
    both |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": process_group.free_port()}
    arguments = ["-m", "bench", *COMMAND, "--devices", 2, "--num-nodes", 1, "--out", out]
    return [command(*arguments, **both, SLURM_PROCID=n, SLURM_LOCALID=n) for n in (0, 1)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The record of one device."""
    out = tmp_path_factory.mktemp("one")
    assert cli.main([*COMMAND, "--out", str(out)]) == 0
    (record,) = records.read_all(out, "quick")
    return record


@pytest.mark.slow
@pytest.mark.parametrize("start", [by_lightning, by_torchrun, by_slurm])
def test_a_command_runs_on_two_devices_however_they_are_started(tmp_path, start, alone):
    processes = start(tmp_path)
    said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said
    assert "".join(out for out, _ in said).count("1 run, 0 done, 1 to do") == 1
    (record,) = records.read_all(tmp_path, "quick")
    rows, others = (r["evaluation"]["per_episode"]["mse"] for r in (alone, record))
    assert record["evaluation"]["index"] == alone["evaluation"]["index"] == list(range(17))
    np.testing.assert_allclose(others, rows, rtol=1e-5)
    assert record["cost"]


SCRIPT = """
import os, sys
from pathlib import Path
if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(exist_ok=True)
    (out / os.environ.get("LOCAL_RANK", "0")).write_text(str(os.getpid()))
    from bench.cli import main as cli
    from bench.running import probe, grid
    from bench.results.schema import COST_FIELDS
    from bench.cli.commands import run
    from bench.running.experiment import Experiment
    from bench.running.machine import Machine
    probe.measure = lambda build, **options: dict.fromkeys(COST_FIELDS, 1.0)
    runs = [Experiment("tiny", "sinusoid", "maml", 3000, 4, data={"val_episodes": 21, "shots": 5})]
    machine = Machine("cpu", 2, checkpoint_every=0.05)
    run.run = lambda options, console: grid.finish(runs, out, console, machine) and None
    sys.exit(cli.main(["run", "quick"]))
"""


def gone(pid, seconds=30):
    """Waits for a process that is not our child to end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").exists() and ") Z" in Path(f"/proc/{pid}/stat").read_text():
            return True  # nobody waits for it
        time.sleep(0.1)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_ends_the_other(tmp_path, killed):
    script, out = tmp_path / "script.py", tmp_path / "out"
    script.write_text(SCRIPT)
    process = command(script, out)
    while not list(out.glob("checkpoints/*/*.resume")):
        assert process.poll() is None
        time.sleep(0.1)
    both = [int((out / str(rank)).read_text()) for rank in (0, 1)]
    assert both[0] == process.pid
    os.kill(both[killed], signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert gone(both[1])
    assert process.returncode in ((2, -9) if killed else (-9,))
    ours = [line for line in said.splitlines() if "run the same command again" in line]
    assert len(ours) <= 1  # one message, from one process, whatever torch says of the connection
    assert not failed.read(out, [e.fields for e in GRID])
