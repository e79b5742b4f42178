"""What long runs need: no more memory and no more time than short ones."""

import time
from pathlib import Path

import numpy as np
import pytest

from bench.data.sinusoid import SinusoidDataModule
from bench.results import records
from bench.running import training
from bench.running.experiment import Experiment
from bench.running.machine import Machine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc"),
]
MIB = 2**20
PAGE = 4096


def memory() -> float:
    """Memory that this process holds, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / MIB


@pytest.fixture
def watched(monkeypatch):
    """Memory and time of this process at each batch of a split that is drawn."""
    seen = {"train": [], "val": [], "test": []}
    draw = SinusoidDataModule.episodes

    def episodes(self, split, index):
        seen[split].append((memory(), time.process_time()))
        return draw(self, split, index)

    monkeypatch.setattr(SinusoidDataModule, "episodes", episodes)
    return seen


def test_5000_iterations_need_no_more_than_1000(watched, tmp_path):
    data = {"tasks_per_batch": 2, "shots": 2, "queries": 2, "val_episodes": 8, "test_episodes": 8}
    learner = {"model_options": {"hidden": [8]}}
    experiment = Experiment("tiny", "sinusoid", "maml", 5000, 10, data=data, learner=learner)
    training.train(experiment, tmp_path, machine=Machine("cpu"), progress=False)
    held, moment = np.array(watched["train"]).T
    assert len(held) == 5000
    assert held[-1] - held[1000] < 8
    first, last = moment[2250] - moment[1000], moment[-1] - moment[-1251]
    assert last < 1.5 * first


def test_100000_test_episodes_stay_within_a_fixed_memory(watched, tmp_path):
    data = {"test_episodes": 100_000, "tasks_per_batch": 100}
    experiment = Experiment("tiny", "sinusoid", "random_init", 0, data=data)
    record = training.train(experiment, tmp_path, machine=Machine("cpu"), progress=False)
    held = np.array(watched["test"])[:, 0]
    assert len(held) == 250
    assert held[-1] - held[25] < 24
    path = experiment.files(tmp_path).record
    records.write(path, record)
    assert records.read(path)["evaluation"]["episodes"] == 100_000
    assert memory() - held[100] < 48  # the record is text
