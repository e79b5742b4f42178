import os
import signal
import sys

import pytest

from bench.cli import main as cli

pytest.importorskip("submitit")

TRIAL = ("--launcher", "slurm", "--launcher-options", "cluster=local")


@pytest.mark.slow
def test_an_element_goes_on_after_a_kill_and_after_its_time_limit(tmp_path, start, expected):
    grid = start(tmp_path, *TRIAL, "--jobs", "2")
    first = grid.worker()
    os.kill(first, signal.SIGKILL)
    second = grid.worker(other_than=first)
    os.kill(second, signal.SIGUSR2)  # what Slurm sends before the limit
    said = grid.ended()
    assert "5shot maml seed 0: its worker is gone from the queue" in said
    assert said.count("goes on") == 1  # the second time it was queued again, not lost
    logs = [path.read_text() for path in tmp_path.glob("slurm/*/*_log.*")]
    assert sum(log.count("Requeued job") for log in logs) == 1
    assert said.count("going on after iteration") == 1
    assert grid.result() == expected


def test_without_slurm_it_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["run", "quick", "--launcher", "slurm"]) == 2
    assert "sbatch is not found" in capsys.readouterr().err


def test_without_submitit_it_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert cli.main(["run", "quick", "--launcher", "slurm"]) == 2
    assert "pip install 'maml-bench[slurm]'" in capsys.readouterr().err


def test_an_option_that_submitit_does_not_know_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "quick", *TRIAL, "slurm_partitoin=gpu"]) == 2
    assert "partitoin" in capsys.readouterr().err
    assert not (tmp_path / "results" / "slurm").exists()
