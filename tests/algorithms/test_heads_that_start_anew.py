"""Proto-MAML and UNICORN-MAML: where the head starts in each task."""

import itertools

import pytest
import torch

from bench.algorithms.maml import MAML
from bench.algorithms.proto_maml import ProtoMAML
from bench.algorithms.unicorn_maml import UnicornMAML
from bench.base.errors import BenchError

STEPS, RATE = 3, 0.1
SETTING = {"inner_lr": RATE, "inner_steps": STEPS}


def prototypes(task, learner):
    x, y = task.support
    features = learner.net.features(x)
    means = torch.stack([features[y == c].mean(0) for c in range(3)])
    return 2 * means, -means.square().sum(1)


def from_row(w):
    """The paper's head: one row for all classes."""
    return lambda task, learner: (w.expand(3, -1), w.new_full((3,), 0.3))


def adapted_from(head, order):
    def task_loss(task, theta, learner):
        weight, bias = head(task, learner)
        phi = {n: p.clone() for n, p in theta.items()}  # not what the head is made of
        phi |= {"head.weight": weight.clone(), "head.bias": bias.clone()}
        phi = {n: v if v.requires_grad else v.requires_grad_() for n, v in phi.items()}
        for _ in range(STEPS):
            gradients = task.gradients(phi, order)
            phi = {n: v - RATE * gradients[n] for n, v in phi.items()}
        return task.loss(phi, task.query)

    return task_loss


@pytest.mark.parametrize("order", [1, 2])
def test_proto_maml_equals_a_plain_loop(equals_a_plain_loop, order):
    equals_a_plain_loop(
        ProtoMAML, "images", adapted_from(prototypes, order), order=order, **SETTING
    )


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("size", [0.0, 1.0])
def test_unicorn_equals_a_plain_loop_from_any_one_row(equals_a_plain_loop, double, size, order):
    row = size * torch.randn(3, generator=torch.Generator().manual_seed(5))
    loss = adapted_from(from_row(row), order)
    equals_a_plain_loop(UnicornMAML, "images", loss, order=order, **SETTING)


@pytest.mark.parametrize("order", [1, 2])
def test_the_row_that_all_classes_share_has_no_meta_gradient(tasks, order):
    learner, _, (task, *_) = tasks(UnicornMAML, "images")
    row = torch.randn(3, requires_grad=True)
    theta = {n: p for n, p in learner.net.named_parameters() if p.requires_grad}
    loss = adapted_from(from_row(row), order)(task, theta, learner)
    (gradient,) = torch.autograd.grad(loss, row)
    assert gradient.abs().max() < 1e-15


def test_unicorn_does_not_care_how_classes_are_numbered_and_maml_does(tasks):
    def spread(cls):
        learner, episode, _ = tasks(cls, "images", **SETTING)
        found = []
        for order in itertools.permutations(range(3)):
            order = torch.tensor(order)
            outputs = learner.predict(episode._replace(support_y=order[episode.support_y]))
            found.append(outputs[:, -1].softmax(-1)[..., order])  # as they were numbered first
        return torch.stack(found).std(0).max()

    assert spread(UnicornMAML) < 1e-12
    assert spread(ProtoMAML) < 1e-12
    assert spread(MAML) > 1e-2


@pytest.mark.parametrize("cls", [ProtoMAML, UnicornMAML])
def test_they_are_for_classes_and_their_head_cannot_be_changed(tasks, cls):
    with pytest.raises(BenchError, match="is for classification"):
        tasks(cls, "vectors")
    with pytest.raises(BenchError, match="head='learned'"):
        cls(head="learned")
