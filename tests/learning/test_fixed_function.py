"""A forward pass that is not a fixed function of parameters and inputs is refused by name."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from bench.algorithms.maml import MAML
from bench.base.errors import BenchError
from bench.tasks.episode import Episode, TaskSpec

pytestmark = [
    pytest.mark.usefixtures("double"),
    pytest.mark.filterwarnings("ignore:.*cannot be vectorised"),
]


class Net(nn.Module):
    """Calls what it is given, with itself and its input."""

    def __init__(self, forward):
        super().__init__()
        self.called = forward
        self.words, self.body = nn.Embedding(5, 6, max_norm=0.1), nn.Linear(6, 6)
        self.row = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh())
        self.head = nn.Linear(6, 1)
        self.kept, self.calls = torch.zeros(6), 0
        self.dice = random.Random(0)
        self.numpy_dice = np.random.default_rng(0)
        self.torch_dice = torch.Generator().manual_seed(0)

    def forward(self, x):
        return self.head(self.called(self, x))


def by_python(net, x):
    return x if random.random() < 0.5 else net.body(x)


def by_numpy(net, x):
    return x * np.random.rand()


def by_torch(net, x):
    x.sum().item()
    return x * torch.rand(())


def by_a_generator(net, x):
    return x * net.dice.random()


def by_a_generator_of_numpy(net, x):
    return x * net.numpy_dice.random()


def by_a_generator_of_torch(net, x):
    x.sum().item()
    return x * torch.rand((), generator=net.torch_dice)


def remembers(net, x):
    y = net.body(x + net.kept)
    net.kept = y.detach().mean(0)
    return y


def counts(net, x):
    net.calls += 1
    return x * net.calls


def renormalises(net, x):
    return x + net.words((x > 0).long()).sum(1)


def shrinks(net, x):
    with torch.no_grad():
        net.body.weight.mul_(0.9)
    return net.body(x)


def unreentrant(net, x):
    return checkpoint(lambda v: net.body(v).tanh(), x, use_reentrant=False)


def reentrant(net, x):
    return checkpoint(lambda v: net.body(v).tanh(), x, use_reentrant=True)


def reentrant_after_another(net, x):
    return checkpoint(net.row, net.body(x), use_reentrant=True)


def in_sequence(net, x):
    return checkpoint_sequential(net.row, 2, x, use_reentrant=False)


REFUSED = {
    "draws random numbers": [by_python, by_numpy, by_torch],
    "other outputs when it is called again": [
        by_a_generator, by_a_generator_of_numpy, by_a_generator_of_torch, remembers, counts,
    ],
    "changes its parameters": [renormalises, shrinks],
    "activation checkpointing": [unreentrant, reentrant, reentrant_after_another, in_sequence],
}  # fmt: skip


def learner(forward, engine="batched", order=2):
    torch.manual_seed(0)
    spec = TaskSpec("regression", (6,), 1)
    model = MAML(model=Net(forward), engine=engine, order=order, inner_steps=2, spec=spec)
    model.configure_model()
    return model


def episode():
    drawn = torch.Generator().manual_seed(1)
    x, y = (torch.randn(2, 3, 5, n, generator=drawn) for n in (6, 1))
    return Episode(x[0], y[0], x[1], y[1], index=torch.arange(3))


@pytest.mark.parametrize("engine", ["loop", "batched", "recorded"])
@pytest.mark.parametrize(
    ("forward", "words"), [(forward, w) for w, kinds in REFUSED.items() for forward in kinds]
)
def test_refused(forward, words, engine):
    model = learner(forward, engine)
    before = {n: p.detach().clone() for n, p in model.net.named_parameters()}
    with pytest.raises(BenchError, match=words):
        model.meta_step(episode())
    for n, p in model.net.named_parameters():
        assert torch.equal(p, before[n]), n


@pytest.mark.parametrize("forward", [by_python, reentrant, unreentrant, renormalises, remembers])
def test_refused_when_it_begins_after_evaluation(forward):
    # Lightning's sanity check evaluates first, and much is done in training alone
    model = learner(lambda net, x: forward(net, x) if net.training else x)
    model.eval()
    model.predict(episode())
    model.train()
    with pytest.raises(BenchError):
        model.loss(episode())


def test_checkpointing_is_refused_later_too():
    model = learner(lambda net, x: unreentrant(net, x) if net.calls else net.body(x))
    model.loss(episode())
    model.net.calls = 1
    with pytest.raises(BenchError, match="activation checkpointing"):
        model.loss(episode())


def test_parameters_changed_later_are_refused_too():
    model = learner(lambda net, x: shrinks(net, x) if net.calls else net.body(x))
    model.loss(episode())
    model.net.calls = 1
    with pytest.raises(BenchError, match="changes its parameters"):
        model.loss(episode())


def test_checkpointing_elsewhere_goes_on():
    learner(lambda net, x: net.body(x)).loss(episode())
    x = torch.randn(3, 6, requires_grad=True)
    for reentrant in (True, False):
        (checkpoint(torch.tanh, x, use_reentrant=reentrant).sum()).backward()
    torch.testing.assert_close(x.grad, 2 * (1 - x.detach().tanh() ** 2))


@pytest.mark.parametrize("order", [1, 2])
def test_hooks_of_the_caller_are_left_in_force(order):
    found = []
    for context in (torch.autograd.graph.save_on_cpu, torch.enable_grad):
        model = learner(lambda net, x: net.body(x).tanh(), order=order)
        with context():
            loss = model.loss(episode()).mean()
        found.append(torch.autograd.grad(loss, model.net.body.weight)[0])
    torch.testing.assert_close(*found)


def test_what_is_kept_and_never_read_is_no_matter():
    def notes(net, x):
        net.kept = F.relu(net.body(x))
        return net.kept

    for engine in ("loop", "batched"):
        learner(notes, engine).loss(episode())
