"""What is said of a loss that is not finite: where it came from, and which rate to lower."""

import re

import numpy as np
import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback

from bench import MAML, SinusoidDataModule, SkillRunningMean
from bench.base.errors import Diverged
from bench.data.irt import IRTDataModule
from bench.running.quiet import quiet


def message(learner, data=None, callbacks=()):
    """What training says when it diverges."""
    data = data or SinusoidDataModule(tasks_per_batch=4, val_episodes=4, iterations_per_epoch=20)
    options = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    options |= {"enable_checkpointing": False, "num_sanity_val_steps": 0}
    with quiet(), pytest.raises(Diverged) as refusal:
        Trainer(max_epochs=1, accelerator="cpu", callbacks=[*callbacks], **options).fit(
            learner, datamodule=data
        )
    return str(refusal.value)


def test_an_outer_rate_that_is_too_large_is_named():
    text = message(MAML(outer_lr=1e30, inner_steps=2))
    assert re.match(r"meta-iteration 2: the loss is (nan|inf): task 0 \(episode 4\)", text)
    assert text.endswith("is not finite before any inner step: choose a smaller outer_lr")


def test_so_is_one_with_which_the_loss_has_grown_before_the_inner_loop_fails():
    text = message(MAML(outer_lr=100.0, inner_steps=5))
    assert "meta-iteration 2: " in text
    assert "no longer finite after inner step 1 of 5 (its query loss was " in text
    assert text.endswith("choose a smaller outer_lr")


def test_an_inner_rate_that_is_too_large_is_named():
    text = message(MAML(inner_lr=1e30, inner_steps=3))
    assert text.startswith("meta-iteration 1: ")
    assert re.search(r"no longer finite after inner step \d of 3 \(its query loss was", text)
    assert text.endswith("choose a smaller inner_lr")


@pytest.mark.parametrize(("outer_lr", "last", "seen"), [(1e30, 20, 3), (1e30, 2, 3)])
def test_on_a_gpu_it_is_seen_one_iteration_later(outer_lr, last, seen, monkeypatch):
    """As the GPU goes about it, on a processor; the loss of the last iteration is seen too."""
    learner, begun = MAML(outer_lr=outer_lr, inner_steps=2), []
    learner._watch.later = True
    step = learner.training_step
    monkeypatch.setattr(learner, "training_step", lambda *a: (begun.append(1), step(*a))[1])
    sizes = {"tasks_per_batch": 4, "val_episodes": 4, "iterations_per_epoch": last}
    text = message(learner, SinusoidDataModule(**sizes))
    assert text.startswith("meta-iteration 2: the loss is not finite: choose a smaller outer_lr or")
    assert "accelerator=cpu" in text
    assert len(begun) == min(last, seen)


class Spoils(Callback):
    """Makes weights what they are after a gradient that is not finite."""

    def on_train_batch_end(self, trainer, learner, *args):
        for parameter in learner.parameters():
            torch.nn.init.constant_(parameter, np.nan)


def test_weights_that_are_not_finite_are_told_apart():
    text = message(MAML(), callbacks=[Spoils()])
    assert re.match(
        r"meta-iteration 2: the loss is nan, as net\.\S+ was not finite after the", text
    )
    assert text.endswith("iteration before: choose a smaller outer_lr or inner_lr")


def test_an_algorithm_without_an_inner_loop_has_one_rate():
    data = IRTDataModule(items=6, shots=2, queries=2, tasks_per_batch=2, val_episodes=2)
    text = message(SkillRunningMean(), data, [Spoils()])
    assert text.endswith("was not finite after the iteration before: choose a smaller outer_lr")


def test_what_was_never_finite_is_no_matter_of_rates():
    class Broken(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x) * torch.inf

    text = message(MAML(model=Broken(1, 1)))
    assert text.endswith(
        "is not finite before any inner step or iteration: check the data and the network"
    )
    network = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(network.weight, np.nan)
    text = message(MAML(model=network))
    assert text.endswith("as net.weight is not finite from the start: check the network")
