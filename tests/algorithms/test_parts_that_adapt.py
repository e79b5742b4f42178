"""ANIL and BOIL: a part of the network adapts."""

import pytest
import torch
from torch import nn

from bench.algorithms.anil import ANIL
from bench.algorithms.boil import BOIL
from bench.base.errors import BenchError
from bench.tasks.episode import Episode, TaskSpec

STEPS, RATE = 3, 0.1
LINE = TaskSpec("regression", (3,), 2)


def of_part(order, in_head):
    """MAML in which only the head adapts, or only the rest."""

    def task_loss(task, theta, learner):
        phi = {n: p for n, p in theta.items() if n.startswith("head.") == in_head}
        for _ in range(STEPS):
            gradients = task.gradients(phi, order)
            phi = {n: v - RATE * gradients[n] for n, v in phi.items()}
        return task.loss(phi, task.query)

    return task_loss


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("kind", ["images", "vectors"])
@pytest.mark.parametrize("cls", [ANIL, BOIL])
def test_meta_gradient_equals_a_plain_loop(equals_a_plain_loop, cls, kind, order):
    loss = of_part(order, in_head=cls is ANIL)
    equals_a_plain_loop(cls, kind, loss, order=order, inner_lr=RATE, inner_steps=STEPS)


@pytest.mark.parametrize("cls", [ANIL, BOIL])
def test_the_other_part_is_shared_and_learned(tasks, cls):
    learner, episode, _ = tasks(cls, "images", inner_steps=2)
    *_, adapted = learner.adapted(episode, 2, order=2)
    assert {n.startswith("head.") for n in adapted} == {cls is ANIL}
    learner.loss(episode).mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in learner.net.head.parameters())
    weights = [layer.weight for layer in learner.net.features if isinstance(layer, nn.Conv2d)]
    assert all(w.grad.abs().sum() > 0 for w in weights)


@pytest.mark.parametrize("head", ["zero", "prototypes"])
def test_anil_with_a_head_that_starts_anew(equals_a_plain_loop, head):
    def task_loss(task, theta, learner):
        x, y = task.support
        features = learner.net.features(x)
        means = torch.stack([features[y == c].mean(0) for c in range(3)])
        weight, bias = 2 * means, -means.square().sum(1)
        if head == "zero":
            weight, bias = torch.zeros_like(weight), torch.zeros_like(bias)
        phi = {"head.weight": weight.clone(), "head.bias": bias.clone()}
        for _ in range(STEPS):
            gradients = task.gradients({n: v.requires_grad_() for n, v in phi.items()}, 2)
            phi = {n: v - RATE * gradients[n] for n, v in phi.items()}
        return task.loss(phi, task.query)

    equals_a_plain_loop(
        ANIL, "images", task_loss, order=2, inner_lr=RATE, inner_steps=STEPS, head=head
    )


@pytest.mark.parametrize("order", [1, 2])
def test_anil_passes_the_support_set_through_the_body_once(order):
    class Counted(nn.Linear):
        calls = 0

        def forward(self, x):
            type(self).calls += 1
            return super().forward(x)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.features, self.head = Counted(3, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.features(x))

    learner = ANIL(model=Net(), spec=LINE, order=order, inner_steps=5)
    learner.configure_model()
    episode = Episode(torch.randn(2, 6, 3), torch.randn(2, 6, 2), torch.randn(2, 5, 3), None)
    episode = episode._replace(query_y=torch.randn(2, 5, 2))
    learner.loss(episode)  # which looks at the network the first time
    Counted.calls = 0
    learner.loss(episode)
    assert Counted.calls == 2  # the support set and the query


@pytest.mark.parametrize("cls", [ANIL, BOIL])
def test_networks_without_a_head_are_refused(cls):
    for model in (nn.Linear(3, 2), "irt"):
        spec = LINE if model != "irt" else TaskSpec("answers", (4,), 1, items=9)
        learner = cls(model=model, spec=spec)
        for _ in range(2):
            with pytest.raises(BenchError, match=r"needs a network with \.(features|head)"):
                learner.configure_model()


def test_anil_refuses_a_head_that_does_not_adapt():
    net = nn.Sequential()
    net.features, net.head, net.adapts = nn.Linear(3, 4), nn.Linear(4, 2), ("features",)
    with pytest.raises(BenchError, match="ANIL adapts the head"):
        ANIL(model=net, spec=LINE).configure_model()
