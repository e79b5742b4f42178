"""Bilevel IRT with priors: its steps, its meta-gradient and what the prior does."""

from functools import partial

import numpy as np
import pytest
import torch
from lightning import Trainer
from scipy.optimize import minimize
from torch.nn import functional as F

from bench.algorithms.bilevel_irt import BilevelIRT
from bench.base.errors import BenchError
from bench.data.student import StudentDataModule
from bench.tasks.episode import Episode, TaskSpec
from bench.tasks.questions import POSITION

ITEMS, DIMENSIONS = 12, 2
SPEC = TaskSpec("answers", (2,), 1, items=ITEMS)
pytestmark = pytest.mark.usefixtures("double")


def learner(**options):
    made = BilevelIRT(
        spec=SPEC, **{"model_options": {"dimensions": DIMENSIONS, "growth": True}} | options
    )
    made.configure_model()
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in made.parameters():
            p += 0.3 * torch.randn(p.shape, generator=noise)
    return made


def draw(support=7, query=5, tasks=3):
    rng = np.random.default_rng(0)
    x = np.stack(
        [
            rng.integers(ITEMS, size=(tasks, support + query)),
            rng.integers(90, size=(tasks, support + query)),
        ],
        -1,
    ).astype(float)
    y = rng.integers(2, size=(tasks, support + query)).astype(float)
    w = (rng.random((tasks, support)) < 0.8).astype(float)
    x, y, w = map(torch.from_numpy, (x, y, w))
    return Episode(
        x[:, :support], y[:, :support], x[:, support:], y[:, support:], w,
        torch.ones(tasks, query), index=torch.arange(tasks),
    )  # fmt: skip


def plain_loss(values, episode, steps, order):
    """The same written out, one student after the other."""
    losses = []
    for x, y, qx, qy, w in zip(*episode[:5]):

        def slopes(rows):
            item = values["average"] + values["items.own.weight"][rows[:, 0].long()]
            a, d = item[:, :DIMENSIONS], item[:, DIMENSIONS]
            return torch.cat([a, a * rows[:, POSITION, None] / 50], 1), d

        start = torch.cat([values["ability"], values["growth"]])
        z, d = slopes(x)
        bound = torch.eye(2 * DIMENSIONS) + (z * w[:, None]).T @ z / 4
        if order == 1:
            bound = bound.detach()
        theta = start
        for _ in range(steps):
            at = theta if order == 2 else theta.detach().requires_grad_()
            minus = (F.binary_cross_entropy_with_logits(z @ at + d, y, reduction="none") * w).sum()
            minus = minus + (at - start).square().sum() / 2
            (g,) = torch.autograd.grad(minus, at, create_graph=order == 2, retain_graph=True)
            theta = theta - 0.8 * torch.linalg.solve(bound, g)
        z, d = slopes(qx)
        losses.append(F.binary_cross_entropy_with_logits(z @ theta + d, qy))
    return torch.stack(losses)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("engine", ["loop", "batched", "recorded"])
@pytest.mark.parametrize("recompute", [False, True])
def test_the_meta_gradient_is_that_of_a_plain_loop(order, engine, recompute):
    if recompute and (order == 1 or engine == "recorded"):
        pytest.skip("recomputes nothing")
    made = learner(order=order, engine=engine, recompute=recompute, inner_lr=0.8, inner_steps=3)
    episode = draw()
    made.meta_step(episode).backward()
    values = {n: p.detach().clone().requires_grad_() for n, p in made.net.named_parameters()}
    expected = plain_loss(values, episode, 3, order)
    torch.testing.assert_close(made.loss(episode), expected, rtol=1e-10, atol=1e-10)
    gradients = torch.autograd.grad(expected.mean(), list(values.values()))
    for (name, p), g in zip(made.net.named_parameters(), gradients):
        assert torch.allclose(p.grad, g, rtol=1e-10, atol=1e-10), name


def test_the_second_order_gradient_is_that_of_finite_differences():
    made, episode = learner(inner_steps=2), draw()
    made.meta_step(episode).backward()
    for p in made.net.parameters():
        direction = torch.randn(p.shape, generator=torch.Generator().manual_seed(2))
        found = []
        for sign in (1, -1):
            with torch.no_grad():
                p += sign * 1e-5 * direction
            found.append(made.loss(episode).mean().item())
            with torch.no_grad():
                p -= sign * 1e-5 * direction
        slope = (found[0] - found[1]) / 2e-5
        assert abs(slope - (p.grad * direction).sum().item()) < 1e-7


@pytest.mark.parametrize("answers", [1, 30, 1000])
def test_no_step_overshoots_and_they_end_at_the_likeliest_ability(answers):
    made = learner(model_options={"dimensions": DIMENSIONS})
    episode = draw(support=answers)
    x, y, w = episode.support_x, episode.support_y, episode.support_w
    course = [made.support_loss(f, episode, 0).detach() for f in made.adapted(episode, 40, 0)]
    assert (torch.stack(course).diff(dim=0) < 1e-12).all()
    start = made.net.ability.detach().numpy()
    item = made.net.item_parameters(x).detach().numpy()

    def minus_log_posterior(theta, task):
        logit = item[task, :, :-1] @ theta + item[task, :, -1]
        each = np.logaddexp(0, -(2 * y[task].numpy() - 1) * logit) * w[task].numpy()
        return each.sum() + ((theta - start) ** 2).sum() / 2

    for task in range(len(y)):
        best = minimize(partial(minus_log_posterior, task=task), start, tol=1e-12)
        assert np.allclose(made.ability(episode)[task].detach(), best.x, atol=0.05)
        assert course[-1][task] == pytest.approx(best.fun, abs=1e-6)


def test_the_prior_is_added_once_over_all_training_answers(tmp_path):
    rows = [f"s{s},q{i},{(s + i) % 2}" for s in range(12) for i in range(8)]
    (tmp_path / "a.csv").write_text("student,item,correct\n" + "\n".join(rows))
    data = StudentDataModule(source=str(tmp_path / "a.csv"), shots=3, queries=5)
    made = BilevelIRT()
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    trainer = Trainer(
        max_steps=1, accelerator="cpu", precision="64-true", enable_checkpointing=False,
        limit_val_batches=0, **quiet,
    )  # fmt: skip
    trainer.fit(made, data)
    assert data.training_rows == 8 * len(data.students["train"])
    net = made.net
    a, d = net.items.own.weight[:, :-1], net.items.own.weight[:, -1]
    prior = (d**2).sum() + (a**2).sum() / 0.35**2
    torch.testing.assert_close(made.prior, prior / 2 / data.training_rows)
    episode = data.episodes("train", np.arange(4))
    without = BilevelIRT(spec=data.spec)
    without.configure_model()
    without.load_state_dict(made.state_dict())
    torch.testing.assert_close(made.loss(episode), without.loss(episode) + made.prior)


def test_a_mean_over_the_answers_is_refused_beside_a_prior():
    with pytest.raises(BenchError, match="inner_loss='mean'"):
        BilevelIRT(spec=SPEC, inner_loss="mean").configure_model()
