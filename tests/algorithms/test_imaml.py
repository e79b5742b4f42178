"""iMAML against a dense solve of the exact system, and against the solved inner problem."""

import pytest
import torch
from lightning import Trainer
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from bench.algorithms.imaml import IMAML, conjugate_gradients
from bench.base.errors import BenchError
from bench.data.sinusoid import SinusoidDataModule
from bench.tasks.episode import Episode, TaskSpec

SPEC = TaskSpec("regression", (2,), 1)
STRENGTH, RATE = 10.0, 0.05  # where every system is positive definite

pytestmark = pytest.mark.usefixtures("double")


class Net(nn.Module):
    """Small enough for its Hessian to be written down; its first layer may be shared."""

    def __init__(self, adapts=None):
        super().__init__()
        self.first, self.head = nn.Linear(2, 3), nn.Linear(3, 1)
        if adapts:
            self.adapts = adapts

    def forward(self, x):
        return self.head(torch.tanh(self.first(x)))


def made(adapts=None, **options):
    torch.manual_seed(0)
    options = {"inner_lr": RATE, "strength": STRENGTH, "cg_steps": 30} | options
    learner = IMAML(model=Net(adapts), spec=SPEC, **options)
    learner.configure_model()
    return learner


def draw(tasks=3):
    made = torch.Generator().manual_seed(1)
    x, y = (torch.randn(2, tasks, 6, n, generator=made) for n in (2, 1))
    return Episode(x[0], y[0], x[1], y[1], index=torch.arange(tasks))


def vector(tensors):
    return torch.cat([v.flatten() for v in tensors])


def plain_loss(net, names, shapes, values, x, y):
    """Of one task, from all parameters as one vector."""
    parts = [p.view(s) for p, s in zip(values.split([s.numel() for s in shapes]), shapes)]
    return F.mse_loss(functional_call(net, dict(zip(names, parts)), (x,)), y)


def dense(learner, episode, steps):
    """The mean implicit gradient over tasks, by Hessians and solves of the whole system."""
    net = learner.net
    chosen = getattr(net, "adapts", ("first", "head"))
    named = dict(net.named_parameters())
    mine = [n for n in named if n.split(".")[0] in chosen]
    order = mine + [n for n in named if n not in mine]
    shapes, count = [named[n].shape for n in order], sum(named[n].numel() for n in mine)
    theta = vector(named[n].detach() for n in order)
    start, rest = theta[:count], theta[count:]
    total = torch.zeros_like(theta)
    for sx, sy, qx, qy in zip(*episode[:4]):
        phi = start.clone()
        for _ in range(steps):
            phi.requires_grad_()
            support = plain_loss(net, order, shapes, torch.cat([phi, rest]), sx, sy)
            (g,) = torch.autograd.grad(support, phi)
            phi = (phi - RATE * (g + STRENGTH * (phi - start))).detach()
        whole = torch.cat([phi, rest]).requires_grad_()
        hessian = torch.autograd.functional.hessian(
            lambda v, x=sx, y=sy: plain_loss(net, order, shapes, v, x, y), whole
        )
        (direct,) = torch.autograd.grad(plain_loss(net, order, shapes, whole, qx, qy), whole)
        system = torch.eye(count) + hessian[:count, :count] / STRENGTH
        u = torch.linalg.solve(system, direct[:count])
        total += torch.cat([u, direct[count:] - hessian[count:, :count] @ u / STRENGTH])
    parts = (total / len(episode.query_y)).split([s.numel() for s in shapes])
    found = dict(zip(order, parts))
    return vector(found[n] for n in named)


def ours(learner, episode):
    learner.zero_grad()
    learner.meta_step(episode).backward()
    return vector(p.grad for p in learner.parameters())


@pytest.mark.parametrize("engine", ["loop", "batched"])
@pytest.mark.parametrize("adapts", [None, ("head",), ("first",)])
@pytest.mark.parametrize("steps", [0, 5])
def test_meta_gradient_equals_a_dense_solve(engine, adapts, steps):
    learner, episode = made(adapts, engine=engine, inner_steps=steps), draw()
    wanted = dense(learner, episode, steps)
    assert (ours(learner, episode) - wanted).norm() < 1e-10 * wanted.norm()
    assert learner.errors(episode).solve.max() < 1e-10


@pytest.mark.parametrize("adapts", [None, ("head",)])
def test_where_the_inner_problem_is_solved_it_is_the_derivative_of_the_solution(adapts):
    learner, episode = made(adapts, inner_steps=600), draw()
    assert learner.errors(episode).inner.max() < 1e-9
    gradient, parameters = ours(learner, episode), list(learner.parameters())

    def moved(direction, size):
        with torch.no_grad():
            for p, d in zip(parameters, direction):
                p += size * d
        return learner.meta_step(episode).item()

    for seed in range(3):
        drawn = torch.Generator().manual_seed(seed)
        direction = [torch.randn(p.shape, generator=drawn) for p in parameters]
        more, less = moved(direction, 1e-5), moved(direction, -2e-5)
        moved(direction, 1e-5)
        assert (more - less) / 2e-5 == pytest.approx((gradient @ vector(direction)).item(), 1e-6)


def test_errors_fall_with_steps_and_are_not_hidden():
    episode = draw()
    inner = [made(inner_steps=k).errors(episode).inner.mean() for k in (1, 4, 16)]
    solve = [made(inner_steps=4, cg_steps=k).errors(episode).solve.mean() for k in (0, 1, 3, 6)]
    assert inner == sorted(inner, reverse=True)
    assert solve == sorted(solve, reverse=True)
    assert solve[0] == 1
    assert made().errors(episode).inner.shape == (3,)


def test_errors_are_logged(tmp_path):
    data = SinusoidDataModule(tasks_per_batch=4, iterations_per_epoch=2, val_episodes=4)
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", default_root_dir=tmp_path, logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(IMAML(inner_steps=2, inner_lr=0.01), data)
    for name in ("inner_error", "solve_error"):
        assert 0 < trainer.callback_metrics[f"train/{name}"] < 2


def test_conjugate_gradients_stop_at_negative_curvature_and_at_zero():
    matrices = torch.stack([torch.diag(torch.tensor([2.0, 1.0])), -torch.eye(2), torch.eye(2)])
    right = torch.tensor([[1.0, 1.0], [1.0, 2.0], [0.0, 0.0]])
    found, left = conjugate_gradients(
        lambda v: {"a": torch.einsum("tij,tj->ti", matrices, v["a"])}, {"a": right}, 4
    )
    torch.testing.assert_close(found["a"], torch.tensor([[0.5, 1.0], [0.0, 0.0], [0.0, 0.0]]))
    torch.testing.assert_close(left, torch.tensor([0.0, 1.0, 0.0]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"order": 2}, "order=2: give None"),
        ({"strength": 0.0}, "strength=0.0: give a number above 0"),
        ({"cg_steps": -1}, "cg_steps=-1"),
        ({"head": "prototypes"}, "head='prototypes'"),
    ],
)
def test_impossible_options_are_named(options, words):
    with pytest.raises(BenchError, match=words):
        IMAML(spec=SPEC, **options)
