"""Steps whose derivative is written out against plain autograd, in float64."""

import gc
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from bench.algorithms.maml import MAML
from bench.learning import linear_chain
from bench.models.mlp import MLP
from bench.tasks.episode import Episode, TaskSpec

TASKS, ROWS, INPUTS, RATE = 3, 4, 5, 0.3

pytestmark = pytest.mark.usefixtures("double")


def network(*widths):
    layers = []
    for before, after in zip((INPUTS, *widths), widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def drawn(net):
    torch.manual_seed(4)
    fast = {n: torch.randn(TASKS, *p.shape).requires_grad_() for n, p in net.named_parameters()}
    return fast, torch.randn(TASKS, ROWS, INPUTS), torch.randn(TASKS, ROWS, 2)


LOSSES = {
    "squares": lambda z, y: (z - y).square().mean((1, 2)),
    "classes": lambda z, y: F.cross_entropy(z.movedim(-1, 1), y.argmax(-1), reduction="none").sum(
        1
    ),
    "answers, some not given": lambda z, y: (
        F.binary_cross_entropy_with_logits(z, (y > 0).to(z), reduction="none") * (y < 1)
    ).sum((1, 2)),
}


def plain_step(layers, loss, x, fast, order):
    h = x
    for i, n in enumerate(layers):
        z = torch.einsum("tri,toi->tro", h, fast[f"{n}.weight"]) + fast[f"{n}.bias"][:, None]
        h = z.relu() if i < len(layers) - 1 else z
    gradients = torch.autograd.grad(loss(h).sum(), fast.values(), create_graph=order == 2)
    return {n: v - RATE * g for (n, v), g in zip(fast.items(), gradients)}


@pytest.mark.parametrize("widths", [(2,), (6, 2), (6, 7, 2)])
@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("order", [1, 2])
def test_steps_and_their_derivative(widths, kind, order):
    net, found = network(*widths), []
    chain = linear_chain.find(net, torch.empty(TASKS, ROWS, INPUTS))
    layers = [n for n, layer in net.named_modules() if isinstance(layer, nn.Linear)]

    def written(layers, loss, x, fast, order):
        return linear_chain.step(chain, loss, RATE, x, fast, order)

    for step in (plain_step, written):
        fast, x, y = drawn(net)
        start = list(fast.values())
        for _ in range(2):
            fast = step(layers, partial(LOSSES[kind], y=y), x, fast, order)
        after = [fast[n] for n, _ in net.named_parameters()]
        total = sum((v * torch.linspace(-1, 1, v.numel()).view(v.shape)).sum() for v in after)
        found.append([*after, *torch.autograd.grad(total, start)])
    torch.testing.assert_close(found[1], found[0], rtol=1e-10, atol=1e-12)


class Own(nn.Sequential):
    """May do anything in its forward pass."""


class Scaled(MLP):
    """Has a forward pass of its own, and does not say that it is a chain."""

    def forward(self, x):
        return 2 * super().forward(x)


def hooked():
    net = network(6, 2)
    net[0].register_forward_hook(lambda layer, inputs, output: 2 * output)
    return net


def shared():
    layer = nn.Linear(INPUTS, INPUTS)
    return nn.Sequential(layer, nn.ReLU(), layer)


SPEC = TaskSpec("regression", (INPUTS,), 2)
OTHERS = {
    "own class": lambda: Own(*network(6, 2)),
    "subclass": lambda: Scaled(SPEC, (6,)),
    "hook": hooked,
    "shared layer": shared,
    "other layer": lambda: nn.Sequential(nn.Linear(INPUTS, 6), nn.Tanh(), nn.Linear(6, 2)),
    "no bias": lambda: nn.Sequential(nn.Linear(INPUTS, 2, bias=False)),
    "computed weight": lambda: nn.Sequential(weight_norm(nn.Linear(INPUTS, 2))),
    "ends with ReLU": lambda: nn.Sequential(nn.Linear(INPUTS, 2), nn.ReLU()),
}


@pytest.mark.parametrize("other", OTHERS)
def test_any_other_network_is_left_to_autograd(other):
    x = torch.randn(TASKS, ROWS, INPUTS)
    assert linear_chain.find(network(6, 2), x) is not None
    assert linear_chain.find(MLP(SPEC, (6,)), x) is not None
    assert linear_chain.find(OTHERS[other](), x) is None


@pytest.mark.parametrize("options", [{}, {"order": 1}, {"inner_loss": "shrunk"}])
@pytest.mark.parametrize("name", ["own class", "subclass", "hook", "shared layer"])
def test_whatever_the_network_does_it_is_adapted_to(name, options):
    """The same as the plain loop, for what looks like a chain and is none."""
    torch.manual_seed(0)
    net = OTHERS[name]()
    spec = SPEC._replace(outputs=INPUTS) if name == "shared layer" else SPEC
    y = torch.randn(TASKS, ROWS, spec.outputs)
    episode = Episode(torch.randn(TASKS, ROWS, INPUTS), y, torch.randn(TASKS, ROWS, INPUTS), y)
    found = []
    for engine in ("loop", "batched"):
        learner = MAML(spec=spec, model=net, inner_steps=2, engine=engine, **options)
        learner.configure_model()
        net.zero_grad()
        learner.meta_step(episode).backward()
        found.append([learner.predict(episode), *(p.grad.clone() for p in net.parameters())])
    torch.testing.assert_close(found[1], found[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("items", [0, 7])
@pytest.mark.parametrize("options", [{}, {"order": 1}, {"inner_loss": "sum"}, {"recompute": True}])
def test_a_chain_is_adapted_by_it(items, options, monkeypatch):
    """In training and prediction, and the same as the plain loop, with weights of the rows."""
    spec, steps, found = TaskSpec("answers", (INPUTS,), 1, items=items), [], []
    torch.manual_seed(0)
    net, step = MLP(spec, (6, 6)), linear_chain.step
    monkeypatch.setattr(linear_chain, "step", lambda *a: steps.append(1) or step(*a))
    x, y = torch.randn(TASKS, ROWS, INPUTS), torch.randint(2, (TASKS, ROWS))
    if items:
        x[..., 0] = torch.randint(items, (TASKS, ROWS))
    w = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]]).double()
    for engine in ("loop", "batched"):
        learner = MAML(spec=spec, model=net, inner_steps=3, engine=engine, **options)
        learner.configure_model()
        net.zero_grad()
        learner.meta_step(Episode(x, y, x, y, w, w)).backward()
        outputs = learner.predict(Episode(x, y, x, y, w, w))
        found.append([outputs, *(p.grad.clone() for p in net.parameters())])
    assert len(steps) == (0 if "recompute" in options else 6)
    torch.testing.assert_close(found[1], found[0], rtol=1e-10, atol=1e-12)


def test_nothing_is_left_behind():
    """A node that holds what it has given holds itself, and no collector finds that."""
    spec = TaskSpec("answers", (INPUTS,), 1, items=7)
    learner = MAML(spec=spec, model=MLP(spec, (6, 6)), inner_steps=2, engine="batched")
    learner.configure_model()
    x, y = torch.zeros(TASKS, ROWS, INPUTS), torch.ones(TASKS, ROWS)

    def tensors():
        learner.meta_step(Episode(x, y, x, y)).backward()
        gc.collect()
        return sum(type(v) is torch.Tensor for v in gc.get_objects())

    assert tensors() == tensors()
