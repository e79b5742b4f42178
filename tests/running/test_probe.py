import os
import signal
import sys

import pytest

from bench.base.errors import BenchError
from bench.results.schema import COST_FIELDS
from bench.running.probe import ResidentPeak, _in_process, _memory, measure


def build(algorithm="maml", dataset="sinusoid", data=None, **learner):
    return {
        "algorithm": algorithm,
        "learner": learner,
        "dataset": dataset,
        "data": {"tasks_per_batch": 2} | (data or {}),
        "accelerator": "cpu",
    }


def allocated(mib):
    """Peak seen while this many MiB are written to and freed."""
    peak = ResidentPeak()
    peak.start()
    block = b"\1" * (mib * 2**20)
    del block
    return peak.mib()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_peak_of_resident_memory_starts_afresh():
    assert allocated(64) == pytest.approx(64, abs=4)
    assert allocated(16) == pytest.approx(16, abs=4)  # what came before does not hide it


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_of_forked_processes_counts():
    peak, (here, there) = ResidentPeak(), os.pipe()
    peak.start()
    child = os.fork()
    if not child:
        block = b"\1" * (64 * 2**20)
        os.write(there, block[:1])
        signal.pause()
    os.read(here, 1)
    found = peak.mib()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert found == pytest.approx(64, abs=8)


@pytest.mark.slow
def test_a_probe_of_students_and_sines():
    for algorithm, dataset in (("maml", "sinusoid"), ("item_mean", "irt")):
        cost = measure(build(algorithm, dataset), iterations=5)
        assert set(cost) == {*COST_FIELDS, "device", "threads"}
        assert 0 < cost["ms_low"] <= cost["ms_per_iteration"] <= cost["ms_high"]
        assert cost["peak_memory_mib"] >= 0
    assert cost["parameters"] == 100  # one log-odds an item


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_grows_with_inner_steps_in_second_order_only():
    def memory(order, steps):
        options = {"model_options": {"filters": 32}, "order": order, "inner_steps": steps}
        return _in_process(_memory, build("maml", "glyphs", {"shots": 5}, **options), 1)

    one, five = memory(1, 1), memory(1, 5)
    assert five == pytest.approx(one, rel=0.05)
    a_step = memory(2, 1) - one
    assert a_step > 0.2 * one
    assert memory(2, 5) - five == pytest.approx(5 * a_step, rel=0.1)


@pytest.mark.slow
def test_what_goes_wrong_there_is_said_here():
    with pytest.raises(BenchError, match=r"probe of maml on sinusoid: .*outer_schedule"):
        measure(build(outer_schedule="stairs"))
    with pytest.raises(BenchError, match=r"probe of maml on sinusoid: inner_lr='fast'"):
        measure(build(inner_lr="fast"))


class Killer:
    """Unpickled in the new process, it kills it, as the kernel does when memory runs out."""

    def __reduce__(self):
        return signal.raise_signal, (signal.SIGKILL,)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_process_is_said_to_be_killed():
    with pytest.raises(BenchError, match="killed, most likely for want of memory"):
        measure(build(inner_lr=Killer()))
