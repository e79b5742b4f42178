"""Bilevel IRT with priors: its steps, its meta-gradient and what the prior does."""

from functools import partial

import numpy as np
import pytest
import torch
from lightning import Trainer
from scipy.optimize import minimize
from torch.nn import functional as F

from bench.algorithms.bilevel_irt import BilevelIRT
from bench.algorithms.two_pl import TwoPL
from bench.base.errors import BenchError
from bench.data.mirt import MIRTDataModule
from bench.data.student import StudentDataModule
from bench.learning.direct_fit import read
from bench.learning.item_factors import principal_factors
from bench.tasks.episode import Episode, TaskSpec
from bench.tasks.questions import POSITION

ITEMS, DIMENSIONS = 12, 2
SPEC = TaskSpec("answers", (2,), 1, items=ITEMS)
pytestmark = pytest.mark.usefixtures("double")


@pytest.fixture
def learner(moved):
    usual = {"model_options": {"dimensions": DIMENSIONS, "growth": True}}
    return lambda **options: moved(BilevelIRT(spec=SPEC, **usual | options))


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
            time = values["pace"] * rows[:, POSITION, None] / 50
            return torch.cat([a, a * time], 1), d

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
        p = (z @ theta + d).sigmoid()
        information = z.T @ torch.diag(w * p * (1 - p)) @ z
        if order == 1:
            information = information.detach()
        covariance = torch.linalg.inv(torch.eye(2 * DIMENSIONS) + information)
        z, d = slopes(qx)
        variance = torch.stack([row @ covariance @ row for row in z])
        logits = (z @ theta + d) / (1 + values["doubt"] ** 2 * torch.pi * variance / 8).sqrt()
        losses.append(F.binary_cross_entropy_with_logits(logits, qy))
    return torch.stack(losses)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("engine", ["loop", "batched", "recorded"])
@pytest.mark.parametrize("recompute", [False, True])
def test_the_meta_gradient_is_that_of_a_plain_loop(learner, order, engine, recompute):
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


def test_the_second_order_gradient_is_that_of_finite_differences(learner):
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
def test_no_step_overshoots_and_they_end_at_the_likeliest_ability(learner, answers):
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


@pytest.mark.parametrize("answers", [0, 2, 40])
def test_predictions_are_means_over_what_is_not_known_of_the_ability(learner, answers):
    made = learner(model_options={"dimensions": DIMENSIONS}, inner_steps=30)
    torch.nn.init.ones_(made.net.doubt)
    episode = draw(support=answers or 1)
    if not answers:
        episode = episode._replace(support_w=torch.zeros_like(episode.support_w))
    found = made.predict(episode)[:, -1, :, 0].sigmoid()
    z = torch.randn(40_000, DIMENSIONS, generator=torch.Generator().manual_seed(0))
    a, d = made.net.slopes(episode.support_x), made.net.item_parameters(episode.support_x)[..., -1]
    b, e = made.net.slopes(episode.query_x), made.net.item_parameters(episode.query_x)[..., -1]
    start = made.net.ability
    for task in range(len(found)):  # by weights of draws from the prior
        log = F.logsigmoid((2 * episode.support_y[task] - 1) * ((start + z) @ a[task].T + d[task]))
        weight = (log * episode.support_w[task]).sum(1).softmax(0)
        mean = weight @ ((start + z) @ b[task].T + e[task]).sigmoid()
        torch.testing.assert_close(found[task], mean, rtol=0, atol=0.03)


# Where the items start -------------------------------------------------------------------------


def short_training(tmp_path, steps, **options):
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    return Trainer(
        max_steps=steps, accelerator="cpu", precision="64-true", limit_val_batches=0,
        default_root_dir=tmp_path, **({"enable_checkpointing": False} | quiet | options),
    )  # fmt: skip


def students(**options):
    given = {"items": 12, "shots": 4, "queries": 4, "tasks_per_batch": 64}
    return MIRTDataModule(**(given | options))


def test_items_start_at_those_of_2pl_and_at_factors_of_the_rest(tmp_path):
    data = students()
    made, fitted = BilevelIRT(outer_lr=1e-12), TwoPL(spec=data.spec)
    short_training(tmp_path, 8).fit(made, data)
    fitted.configure_model()
    answers = read(data, 8 * 64, fitted.parameters())  # iterations x tasks
    fitted.solve(answers)
    numbers = made.net.item_parameters(answers.questions)
    easiness, by_first = fitted.net.items(answers.questions).split(1, -1)
    torch.testing.assert_close(numbers[:, -1:], easiness, rtol=0, atol=1e-9)
    wanted = by_first + fitted.net.discrimination
    torch.testing.assert_close(numbers[:, :1], wanted, rtol=0, atol=1e-9)
    factors = principal_factors(answers, fitted.probabilities, 4, 0.35)
    found = factors.shape[1]
    torch.testing.assert_close(
        made.net.items.own.weight[answers.questions[:, 0].long(), 1 : 1 + found],
        factors.to(numbers), rtol=0, atol=1e-9,
    )  # fmt: skip
    rest = made.net.items.own.weight[:, 1 + found : -1]
    assert 0.02 < rest.std() < 0.1  # they differ, to become different


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_items_start_once(tmp_path):
    data = students()
    trainer = short_training(tmp_path, 2, enable_checkpointing=True)
    trainer.fit(BilevelIRT(outer_lr=0.1, outer_schedule="constant"), data)
    trainer.save_checkpoint(tmp_path / "two.ckpt")
    starts = []
    again = BilevelIRT(outer_lr=0.1, outer_schedule="constant")
    again.start_items = lambda: starts.append(1)
    trainer = short_training(tmp_path / "again", 3, enable_checkpointing=True)
    trainer.fit(again, data, ckpt_path=tmp_path / "two.ckpt", weights_only=True)
    assert starts == []
    short_training(tmp_path, 1).fit(again, data)
    assert starts == [1]


@pytest.mark.filterwarnings("ignore:You defined a")
def test_without_a_data_module_items_start_as_the_average_one(tmp_path):
    data = students()
    made = BilevelIRT(spec=data.spec, outer_lr=1e-12)
    short_training(tmp_path, 1).fit(made, data.train_dataloader())
    assert made.net.items.own.weight[:, -1].abs().max() < 1e-9
    assert made.net.average.detach().tolist() == pytest.approx([1, 0, 0, 0, 0, 0], abs=1e-9)


def test_own_weights_are_kept(tmp_path):
    data = students()
    source = BilevelIRT(spec=data.spec)
    source.configure_model()
    with torch.no_grad():
        source.net.items.own.weight.fill_(0.3)
    torch.save(source.net.state_dict(), tmp_path / "own.pt")
    made = BilevelIRT(outer_lr=1e-12, model_options={"weights": str(tmp_path / "own.pt")})
    short_training(tmp_path, 1).fit(made, data)
    torch.testing.assert_close(
        made.net.items.own.weight, torch.full_like(made.net.items.own.weight, 0.3)
    )


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({"queries": 4, "tested_shots": (2, 4)}, 4),
        ({"queries": None, "tested_shots": (2, 4)}, 9),  # 12 items: ten or eight are left
        ({"queries": 4, "protocol": "next"}, 5.5),  # eight: from seven to four are left
    ],
)
def test_without_an_end_the_prior_counts_what_the_training_asks_for(tmp_path, options, rows):
    data, made = students(**options), BilevelIRT()
    short_training(tmp_path, 3).fit(made, data)
    assert data.rows_per_episode == rows
    wanted = made.net.minus_log_prior() / (3 * 64 * rows)
    torch.testing.assert_close(made.prior, wanted)
    weights = [data.episodes("train", np.arange(2000)).query_w]
    asked = [w.sum(1).mean().item() for w in weights if w is not None] or [options["queries"]]
    assert asked[0] == pytest.approx(rows, rel=0.03)


@pytest.mark.parametrize(("shots", "unit"), [(4, 50), (200, 203)])
def test_growth_starts_with_a_unit_of_time_as_long_as_the_history(shots, unit, tmp_path):
    data = students(items=250, shots=shots, tested_shots=(shots,), protocol="first")
    made = BilevelIRT(outer_lr=1e-12, model_options={"growth": True})
    short_training(tmp_path, 1).fit(made, data)
    assert made.net.elapsed(torch.tensor([float(unit)])).item() == pytest.approx(1)
