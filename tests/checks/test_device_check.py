import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from bench.algorithms.maml import MAML
from bench.base import registry
from bench.base.errors import BenchError
from bench.checks import device_cases, device_check, process_group
from bench.checks.device_cases import Case
from bench.cli import main as cli
from bench.data.sinusoid import SinusoidDataModule
from bench.learning.learner import MetaLearner
from bench.tasks.data_module import EpisodeBatches

SIZES = {"tasks_per_batch": 8, "iterations_per_epoch": 6, "val_episodes": 4, "test_episodes": 17}


@pytest.fixture
def importable(monkeypatch):
    """Other processes can import this file."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


def check(learner=MAML, data=SinusoidDataModule, devices=2, **options):
    case = Case(learner.__name__, learner, data, {}, SIZES)
    (verdict,) = device_check.check(devices, "cpu", [case], **options)
    return verdict


# What is proven ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_devices_give_what_one_gives_for_every_algorithm(capsys):
    assert cli.main(["check-devices", "--devices", "2"]) == 0
    said = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.splitlines()]
    rows = [row for row in rows if row]
    assert {row[-1] for row in rows} == {"same"}
    assert {row[0].split()[0] for row in rows} == set(registry.names("algorithms"))
    trained = {row[0] for row in rows if row[2] != "-"}
    assert {"maml", "fomaml", "bilevel_irt", "first_order_bilevel_irt"} <= trained
    for name, data, *differences, tasks, episodes, _ in rows:
        assert all(float(d) <= 1e-6 for d in differences if d != "-")
        fitted = name in ("item_mean", "rasch", "two_pl")  # at once, in one step
        assert tasks == ("8" if fitted else "160" if differences[0] != "-" else "-")
        assert episodes == ("27" if data == "BKT" else "9")
        assert (differences[0] == "-") == (fitted or name in ("bayes", "random_init"))


# one of each kind: by gradient, with an outer update of its own, by distance, in time, fitted at
# once, not trained
OF_EACH_KIND = {"maml", "bilevel_irt", "reptile", "proto_net", "dkt", "rasch", "bayes"}


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 4])
def test_other_numbers_of_devices_too(devices):
    plain = [c for c in device_cases.cases(devices) if str(c).startswith(f"{c.name} on")]
    plain = [case for case in plain if case.name in OF_EACH_KIND]
    assert {case.name for case in plain} == OF_EACH_KIND
    verdicts = device_check.check(devices, "cpu", plain)
    assert len(verdicts) == len(plain)
    device_check.conclude(verdicts, devices)
    assert {v.tested for v in verdicts} == {9, 27}


def test_images_and_students_both_have_both_orders():
    named = {str(case) for case in device_cases.cases(2)}
    for name in ("maml", "fomaml", "no_adaptation", "random_init"):
        assert {f"{name} on TinyGlyphs", f"{name} on BKT"} <= named


@pytest.mark.parametrize("case", device_cases.cases(2), ids=str)
def test_no_algorithm_takes_the_gradient_into_its_own_hands(case):
    learner, data = case.learner(**case.options), case.data(**case.data_options)
    assert learner.automatic_optimization
    for hook in ("backward", "optimizer_step", "optimizer_zero_grad", "on_before_optimizer_step"):
        assert getattr(case.learner, hook) is getattr(MetaLearner, hook)
    learner.note_tasks(data)
    learner.configure_model()
    loss = learner.meta_step(data.episodes("train", np.arange(2)))
    assert all(p.grad is None for p in learner.parameters())  # DDP would not know of it
    if case.learner.trains:
        loss.backward()
        learned = [p for p in learner.parameters() if p.requires_grad]
        assert all(p.grad is not None for p in learned)  # DDP waits for each


# What it finds -----------------------------------------------------------------------------------


class HandWritten(MAML):
    """Each device steps along its own gradient, and no error says so."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.automatic_optimization = False

    def training_step(self, episode, batch_idx):
        parameters = list(self.net.parameters())
        gradients = torch.autograd.grad(self.meta_step(episode), parameters)
        for p, gradient in zip(parameters, gradients):
            p.grad = gradient
        self.optimizers().step()


class Padded(SinusoidDataModule):
    """Batches whose sampler Lightning replaces by its own."""

    def _loader(self, split):
        return DataLoader(EpisodeBatches(self, split), batch_size=None)


class Repeated(SinusoidDataModule):
    """Every device draws the first one's tasks."""

    def _loader(self, split):
        loader = super()._loader(split)
        loader.sampler.rank = 0
        return loader


class Seeded(SinusoidDataModule):
    """The tasks depend on the device."""

    def episodes(self, split, index):
        rank = int(os.environ.get("LOCAL_RANK", 0))
        return super().episodes(split, index + 1000 * rank)._replace(index=torch.from_numpy(index))


@pytest.mark.parametrize(
    ("learner", "data", "found"),
    [
        (HandWritten, SinusoidDataModule, ["meta-gradient differ by", "weights after 20 steps"]),
        (MAML, Padded, ["2 devices tested 34 episodes, 17 different ones, of 17"]),
        (MAML, Repeated, ["80 training tasks were seen twice", "tested 18 episodes, 9 different"]),
        (MAML, Seeded, ["meta-gradient differ by", "test rows differ by"]),
    ],
)
def test_what_is_broken_is_reported(importable, console, learner, data, found):
    verdict = check(learner, data)
    said = ", ".join(verdict.wrong)
    for words in found:
        assert words in said
    device_check.show([verdict], 2, console)
    assert "differs" in console.export_text()
    with pytest.raises(
        BenchError, match=f"2 devices do not give what one gives: {learner.__name__}"
    ):
        device_check.conclude([verdict], 2)


class Lost(MAML):
    """The second device is gone after some steps."""

    def training_step(self, episode, batch_idx):
        if self.global_step == 3 and self.trainer.global_rank == 1:
            os._exit(7)
        return super().training_step(episode, batch_idx)


class Asleep(MAML):
    """The second device never comes."""

    def training_step(self, episode, batch_idx):
        if self.trainer.global_rank == 1:
            time.sleep(1000)
        return super().training_step(episode, batch_idx)


class Infinite(MAML):
    """One task diverges, on the second device."""

    def loss(self, episode):
        return super().loss(episode) + torch.where(episode.index == 13, torch.inf, 0)


@pytest.mark.parametrize(
    ("learner", "words"),
    [
        (Lost, "process 2 of 3 failed: process 1 terminated with exit code 7"),
        (Asleep, "3 processes did not end within 4 s"),
        (Infinite, "failed: meta-iteration 2: the loss"),
    ],
)
def test_nobody_waits_for_a_device_that_is_gone(importable, learner, words):
    began = time.monotonic()
    with pytest.raises(BenchError, match=words):
        check(learner, limit=4 if learner is Asleep else 100)
    assert time.monotonic() - began < 60
    assert not multiprocessing.active_children()


def test_a_meta_batch_that_cannot_be_shared_is_an_error():
    case = Case("maml", MAML, SinusoidDataModule, {}, SIZES | {"tasks_per_batch": 9})
    with pytest.raises(BenchError, match="tasks_per_batch=9 cannot be shared evenly by 2 devices"):
        device_check.check(2, "cpu", [case])


@pytest.mark.parametrize("split", ["val", "test"])
def test_every_device_needs_an_episode(split):
    case = Case("maml", MAML, SinusoidDataModule, {}, SIZES | {f"{split}_episodes": 1})
    with pytest.raises(BenchError, match=f"1 {split} episodes are too few for 2 devices"):
        device_check.check(2, "cpu", [case])


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")
def test_devices_that_are_not_there_are_an_error(capsys):
    assert cli.main(["check-devices", "--devices", "0"]) == 2
    assert "--devices 0: give 1 or more" in capsys.readouterr().err
    assert cli.main(["check-devices", "--accelerator", "gpu"]) == 2
    assert "gpu" in capsys.readouterr().err.lower()


def test_a_difference_is_of_everything():
    one = {"a": np.array([1.0, np.nan]), "i": np.array([1, 2])}
    assert device_check.difference(one, {n: v.copy() for n, v in one.items()}) == 0
    for other in (
        {"a": one["a"]},
        one | {"a": np.array([1.0])},
        one | {"a": np.array([1.0, 2.0])},
        one | {"i": np.array([1, 3])},
    ):
        assert device_check.difference(one, other) == np.inf
    assert device_check.difference({"a": np.array([200.0])}, {"a": np.array([202.0])}) == 0.01


def where(rank):
    return rank, os.getpid(), os.environ["MASTER_ADDR"], os.environ["GLOO_SOCKET_IFNAME"]


def test_processes_have_ranks_and_meet_on_this_machine_alone(importable):
    ranks, processes, addresses, networks = zip(*process_group.run(where, 3, 60))
    assert ranks == (0, 1, 2)
    assert len({*processes, os.getpid()}) == 4
    assert set(addresses) == {"127.0.0.1"}
    assert all(name.startswith("lo") for name in networks)
