import os
import secrets
import signal
import subprocess
import sys

import pytest

from bench.cli import main as cli

pytest.importorskip("ray")

CLUSTER = """
import sys
from ray.cluster_utils import Cluster
head = {"num_cpus": 2, "object_store_memory": 80_000_000, "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args=head)
print("address", cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def cluster():
    """The variables that lead to a cluster on this machine, closed to everybody else."""
    access = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    access |= {"RAY_USAGE_STATS_ENABLED": "0"}
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        env=os.environ | access,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        for line in process.stdout:
            if line.startswith("address "):
                yield access | {"RAY_ADDRESS": line.split()[1]}
                break
        process.stdin.close()
        process.wait(60)


@pytest.mark.slow
def test_a_killed_worker_is_replaced(tmp_path, start, expected, cluster):
    grid = start(tmp_path, "--launcher", "ray", **cluster)
    os.kill(grid.worker(), signal.SIGKILL)
    said = grid.ended()
    assert "1 run, tasks on a Ray cluster with 2 CPU" in said
    assert "5shot maml seed 0: its worker was lost (WorkerCrashedError); it goes on" in said
    assert "going on after iteration" in said
    assert said.count("is done") == 1
    assert grid.result() == expected


def test_without_a_cluster_it_says_how_to_start_one(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert cli.main(["run", "quick", "--launcher", "ray"]) == 2
    said = capsys.readouterr().err
    assert "no Ray cluster at address '127.0.0.1:1'" in said
    assert "ray start --head" in said


def test_an_option_that_ray_does_not_know_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "quick", "--launcher", "ray", "--launcher-options", "num_cpu=2"]) == 2
    assert "num_cpu" in capsys.readouterr().err
