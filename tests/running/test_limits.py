"""What long runs need: no more memory and no more time than short ones."""

import ctypes
import sys
import time

import numpy as np
import pytest

from bench.base.allocator import c_function
from bench.data.sinusoid import SinusoidDataModule
from bench.results import records
from bench.running import training
from bench.running.experiment import Experiment
from bench.running.machine import Machine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(c_function("mallinfo2") is None, reason="memory is asked of glibc"),
]
MIB = 2**20
BLOCK = 64  # bytes of a usual small Python object


class Allocated(ctypes.Structure):
    """What glibc tells of its memory (``man mallinfo2``), in bytes."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def memory() -> float:
    """Memory in use by tensors, arrays and Python's objects, in MiB.

    What the process holds would not do: the allocator keeps pages that it may need again, some
    tens of MiB more or less in a process that has run thousands of tests.
    """
    ask = c_function("mallinfo2")
    ask.restype = Allocated
    found = ask()
    return (found.uordblks + found.hblkhd + BLOCK * sys.getallocatedblocks()) / MIB


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
    assert held[-1] - held[1000] < 4
    first, last = moment[2250] - moment[1000], moment[-1] - moment[-1251]
    assert last < 1.5 * first


def test_100000_test_episodes_stay_within_a_fixed_memory(watched, tmp_path):
    data = {"test_episodes": 100_000, "tasks_per_batch": 100}
    experiment = Experiment("tiny", "sinusoid", "random_init", 0, data=data)
    record = training.train(experiment, tmp_path, machine=Machine("cpu"), progress=False)
    held = np.array(watched["test"])[:, 0]
    assert len(held) == 250
    assert held[-1] - held[25] < 8
    path = experiment.files(tmp_path).record
    records.write(path, record)
    assert records.read(path)["evaluation"]["episodes"] == 100_000
    assert memory() - held[100] < 24  # the record is text
