"""Rasch and 2PL against integration by brute force, and on students of known items."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from bench.algorithms.rasch import Rasch
from bench.algorithms.two_pl import TwoPL
from bench.data.irt import IRTDataModule
from bench.tasks.episode import Episode, TaskSpec
from bench.tasks.questions import ITEM
from bench.tasks.statistics import auc_placements

SPEC = TaskSpec("answers", (2,), 1, items=12)

pytestmark = pytest.mark.usefixtures("double")


def fitted(cls, a, d):
    """A method with these item parameters."""
    made = cls(spec=SPEC)
    made.configure_model()
    own = made.net.items.own.weight.data
    own[:, 0] = torch.from_numpy(d)
    if cls is TwoPL:
        own[:, 1] = torch.from_numpy(a) - 1
    else:
        made.net.discrimination.data[:] = a[0]
    return made


def students(rng, a, d, tasks, rows, support):
    """Answers of students of standard normal ability, each to other items."""
    item = rng.random((tasks, len(d))).argsort(1)[:, :rows]
    p = 1 / (1 + np.exp(-(a[item] * rng.normal(size=(tasks, 1)) + d[item])))
    y = torch.from_numpy((rng.random(p.shape) < p).astype(float))
    x = torch.from_numpy(np.stack([item, np.tile(np.arange(rows), (tasks, 1))], -1).astype(float))
    return Episode(x[:, :support], y[:, :support], x[:, support:], y[:, support:])


def integral(f):
    """The mean of a function over standard normal abilities."""

    def weighted(v):
        return f(v) * np.exp(-(v**2) / 2) / (2 * np.pi) ** 0.5

    return quad(weighted, -8, 8, epsabs=1e-13)[0]


@pytest.mark.parametrize("student", range(3))
@pytest.mark.parametrize("cls", [Rasch, TwoPL])
def test_loss_prediction_and_ability_are_the_integrals(cls, student):
    rng = np.random.default_rng(student)
    a, d = rng.uniform(0.5, 2.5, 12), rng.normal(size=12)
    a = a if cls is TwoPL else np.full(12, 1.4)
    made, episode = fitted(cls, a, d), students(rng, a, d, 1, 10, 8)

    def right(ability, item):
        return 1 / (1 + np.exp(-(a[item] * ability + d[item])))

    def likelihood(ability, x, y):
        p = right(ability, x[0, :, ITEM].long().numpy())
        return np.prod(np.where(y[0].numpy() > 0, p, 1 - p))

    def shown(ability):
        return likelihood(ability, episode.support_x, episode.support_y)

    def all_of_it(ability):
        return shown(ability) * likelihood(ability, episode.query_x, episode.query_y)

    evidence = integral(shown)
    assert made.loss(episode).item() == pytest.approx(-np.log(integral(all_of_it)), rel=1e-6)
    mean = integral(lambda v: v * shown(v)) / evidence
    assert made.ability(episode).item() == pytest.approx(mean)
    wanted = [
        integral(lambda v, item=item: shown(v) * right(v, item)) / evidence
        for item in episode.query_x[0, :, ITEM].long().numpy()
    ]
    assert made.predict(episode)[0, 0, :, 0].sigmoid().tolist() == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("cls", [Rasch, TwoPL])
def test_items_are_recovered(cls):
    rng = np.random.default_rng(1)
    d = rng.normal(size=12)
    a = np.exp(0.4 * rng.normal(size=12)) if cls is TwoPL else np.full(12, 1.3)
    made = fitted(cls, np.ones(12), np.zeros(12))
    optimizer = torch.optim.LBFGS(made.parameters(), line_search_fn="strong_wolfe")
    everybody = students(rng, a, d, 2000, 12, 6)

    def closure():
        optimizer.zero_grad()
        loss = made.loss(everybody).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    own = made.net.items.own.weight.detach().numpy()
    found = made.net.discrimination.item() + (own[:, 1] if cls is TwoPL else 0)
    assert np.corrcoef(own[:, 0], d)[0, 1] > 0.99
    assert np.abs(own[:, 0] - d).max() < 0.2
    np.testing.assert_allclose(found, a if cls is TwoPL else a[0], rtol=0.3)


@pytest.mark.parametrize(("cls", "model"), [(Rasch, "1pl"), (TwoPL, "2pl")])
def test_close_to_the_ceiling_and_to_the_difficulties(cls, model):
    torch.set_default_dtype(torch.float32)
    data = IRTDataModule(model=model, items=25, shots=10, queries=15)
    made = cls(spec=data.spec)
    made.configure_model()
    optimizer = torch.optim.Adam(made.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 60)
    for k in range(60):
        optimizer.zero_grad()
        made.loss(data.episodes("train", np.arange(100 * k, 100 * (k + 1)))).mean().backward()
        optimizer.step()
        schedule.step()
    a, b, _ = data.item_parameters
    easiness = made.net.items.own.weight.detach()[:, 0].numpy()
    assert np.corrcoef(easiness, -a * b)[0, 1] > 0.98
    episode = data.episodes("test", np.arange(1000))
    known = auc_placements(data.ceiling_of(episode), episode.query_y)
    found = auc_placements(made.predict(episode).detach()[:, 0, :, 0], episode.query_y)
    assert abs((known - found).mean()) < 0.003
