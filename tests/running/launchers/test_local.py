import os
import shutil
import signal
import time

import pytest

from bench.base.errors import BenchError
from bench.cli import main as cli
from bench.running.launchers.local import Local
from bench.running.machine import Machine

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
