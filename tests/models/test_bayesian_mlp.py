"""The perceptron with a prior: what adapts, and that it copes with few students."""

import numpy as np
import pytest
import torch
from lightning import Trainer

from bench.algorithms.bilevel_irt import BilevelIRT
from bench.algorithms.item_mean import ItemMean
from bench.algorithms.maml import MAML
from bench.base import registry
from bench.base.errors import BenchError
from bench.data.irt import IRTDataModule
from bench.data.student import StudentDataModule
from bench.models.bayesian_mlp import BayesianMLP
from bench.tasks.episode import TaskSpec

STUDENTS = TaskSpec("answers", (4,), 1, items=7, skills=2)


def test_layers_adapt_and_items_are_shared():
    net = BayesianMLP(STUDENTS, hidden=(5,))
    assert net.adapts == ("features.1.weight", "features.1.bias", "head.weight", "head.bias")
    made = MAML(spec=STUDENTS, model=net)
    made.configure_model()
    assert {*made.adapting()} == {*net.adapts}


def test_only_the_average_easiness_has_no_prior():
    net = BayesianMLP(STUDENTS, hidden=(5,))
    net.minus_log_prior().backward()
    for name, p in net.named_parameters():
        variance = 1.0 if name.startswith(("features.0", "easiness")) else 0.3
        if name == "head.bias":
            assert p.grad is None
        else:
            torch.testing.assert_close(p.grad, p.detach() / variance)


def test_it_is_for_students():
    with pytest.raises(BenchError, match="bayesian_mlp takes questions to students"):
        BayesianMLP(TaskSpec("regression", (1,), 1))


def log_loss(learner, data):
    quiet = {
        "enable_progress_bar": False, "enable_model_summary": False, "logger": False,
        "enable_checkpointing": False, "accelerator": "cpu",
    }  # fmt: skip
    Trainer(max_steps=200, max_epochs=-1, limit_val_batches=0, **quiet).fit(learner, data)
    Trainer(**quiet).test(learner, data, verbose=False)
    return float(learner.episode_scores["nll"][:, -1].mean())


def test_a_class_of_few_is_predicted_better_than_by_item_means(tmp_path):
    """25 students to train on, 20 questions."""
    world = IRTDataModule(items=20, test_episodes=60, shots=10, queries=10)
    x, y, _ = world.questions("test", np.arange(60))
    lines = [
        f"s{student},q{int(item)},{int(right)}"
        for student in range(60)
        for item, right in zip(x[student, :, 0], y[student])
    ]
    (tmp_path / "class.csv").write_text("student,item,correct\n" + "\n".join(lines))

    def data():
        return StudentDataModule(
            source=str(tmp_path / "class.csv"), shots=10, queries=10, tasks_per_batch=64, folds=2
        )

    floor = log_loss(ItemMean(), data())
    perceptron = {"model": "bayesian_mlp", "inner_loss": "shrunk", "inner_lr": 0.3}
    maml = MAML(inner_steps=3, outer_lr=3e-3, outer_schedule="cosine", **perceptron)
    assert log_loss(BilevelIRT(), data()) < floor - 0.02
    assert log_loss(maml, data()) < floor - 0.02


OFF = {  # of MAML++
    "learn_rates": False, "multi_step_share": 0.0, "first_order_share": 0.0,
}  # fmt: skip


@pytest.mark.parametrize("name", ["maml", "maml_plus_plus", "no_adaptation", "imaml", "cnp"])
def test_whatever_trains_it_counts_its_prior_once(name, monkeypatch):
    """Loss and meta-gradient are those without it, and its own added."""
    data, found = IRTDataModule(items=7, shots=3, queries=3, tasks_per_batch=4), {}
    episode = data.episodes("train", np.arange(4))
    for prior in (True, False):
        learner = registry.create(
            "algorithms", name, model="bayesian_mlp", spec=data.spec, seed=3,
            **(OFF if name == "maml_plus_plus" else {}),
        )  # fmt: skip
        learner.configure_model()
        loss = learner.net.minus_log_prior() / 50
        monkeypatch.setattr(type(learner), "prior", loss if prior else 0.0)
        total = learner.meta_step(episode)
        total.backward()
        learned = {n: p for n, p in learner.named_parameters() if p.requires_grad}
        gradient = [torch.zeros_like(p) if p.grad is None else p.grad for p in learned.values()]
        found[prior] = total.detach(), gradient
    by_prior = torch.autograd.grad(loss, list(learned.values()), materialize_grads=True)
    torch.testing.assert_close(found[True][0], found[False][0] + loss.detach())
    for whole, part, own in zip(found[True][1], found[False][1], by_prior, strict=True):
        torch.testing.assert_close(whole, part + own)
