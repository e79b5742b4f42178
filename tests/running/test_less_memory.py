import re
import subprocess
import sys

import pytest

from bench.base.errors import BenchError
from bench.cli.commands._grid import setting
from bench.running import jobs, less_memory, probe
from bench.running.machine import Machine
from bench.running.suite import Study, Suite

CPU = Machine(accelerator="cpu")
SUITE = Suite(
    name="tiny",
    description="needs too much",
    studies=(
        Study(
            dataset="sinusoid",
            shots=(5,),
            iterations=6,
            learner={"inner_steps": 3},
            algorithms={"maml": {}, "fomaml": {}, "random_init": {}},
        ),
    ),
)
MAML, FOMAML, RANDOM = SUITE.experiments()
(LEAST,) = SUITE.experiments(
    ["maml"],
    settings={"recompute": True, "engine": "loop", "tasks_per_batch": 1, "maml.order": 1},
)


def hinted(said):
    """The settings in a message: for the same results, and for another experiment."""
    same, _, other = said.partition("for another experiment")
    return [re.findall(r"[\w.]+=\w+", part) for part in (same, other)]


def test_what_would_need_less_is_listed():
    assert hinted(less_memory.list_options(MAML)) == [
        ["recompute=True", "engine=loop"],
        ["tasks_per_batch=4", "tasks_per_batch=1", "maml.order=1"],
    ]
    fewer = ["tasks_per_batch=4", "tasks_per_batch=1"]
    assert hinted(less_memory.list_options(FOMAML)) == [["engine=loop"], fewer]  # first order
    assert hinted(less_memory.list_options(RANDOM)) == [["engine=loop"], fewer]  # is not trained
    assert less_memory.list_options(LEAST) == "try a smaller model"


def test_what_is_listed_can_be_set_and_keeps_the_results_that_it_says():
    for words, same in zip(hinted(less_memory.list_options(MAML)), (True, False)):
        for word in words:
            (run,) = SUITE.experiments(["maml"], settings=dict([setting(word)]))
            assert (run.key == MAML.key) == same
    for option in less_memory.options(MAML):
        (run,) = SUITE.experiments(["maml"], settings=dict([setting(option.flag(MAML))]))
        assert option.apply(MAML).key == run.key


def limited(monkeypatch, fits):
    """A machine on which only some of what is tried fits."""
    tried = []

    def peak_memory(build):
        tried.append(build)
        if not fits(build):
            raise BenchError("out of memory")
        return 12.3

    monkeypatch.setattr(probe, "peak_memory", peak_memory)
    return tried


def test_the_first_that_fits_is_named(monkeypatch):
    tried = limited(monkeypatch, lambda build: build["data"]["tasks_per_batch"] == 1)
    said = less_memory.find_fitting(MAML, CPU)
    assert hinted(said) == [[], ["tasks_per_batch=1"]]
    assert "which fits here: a meta-iteration needs 12 MiB" in said
    assert [b["learner"]["recompute"] for b in tried] == [True, False, False, False]
    assert [b["learner"]["engine"] for b in tried] == ["auto", "loop", "auto", "auto"]

    tried = limited(monkeypatch, lambda build: True)
    assert hinted(less_memory.find_fitting(MAML, CPU)) == [
        ["recompute=True"],
        ["tasks_per_batch=4"],
    ]
    assert len(tried) == 2


def test_nothing_fits(monkeypatch):
    limited(monkeypatch, lambda build: False)
    said = less_memory.find_fitting(MAML, CPU)
    assert "maml.order=1 were tried, and need too much as well: try a smaller model" in said
    assert less_memory.find_fitting(LEAST, CPU) == "try a smaller model"


def test_the_note_of_a_run_says_what_fits(tmp_path, console, monkeypatch):
    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr("bench.running.training.train", fail)
    limited(monkeypatch, lambda build: build["learner"]["engine"] == "loop")
    outcome = jobs.do(jobs.Job(MAML, tmp_path, CPU, "test", True), console)
    assert outcome.message.startswith("out of memory (MemoryError): for the same results --set eng")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")
def test_a_process_that_may_not_have_more(tmp_path):
    code = """
import resource, sys
import torch
from lightning import Trainer
from bench.cli import main as cli
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 180 * 2**20,) * 2)
sys.exit(cli.main(sys.argv[1:]))
"""
    flags = "run quick --datasets glyphs --algorithms maml --accelerator cpu --shots 15 --out"
    sizes = "inner_steps=40 queries=1 tasks_per_batch=1 iterations=1 model_options={'filters':64}"
    sizes += " validations=1 val_episodes=1 test_episodes=1"
    ended = subprocess.run(
        [sys.executable, "-c", code, *flags.split(), str(tmp_path), "--set", *sizes.split()],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2, ended.stderr
    assert "out of memory" in ended.stdout + ended.stderr
    assert "--set recompute=True" in ended.stdout + ended.stderr
    assert "which fits here" in ended.stdout + ended.stderr
