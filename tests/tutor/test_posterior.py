import numpy as np
import pytest
import torch

from bench.algorithms.bilevel_irt import BilevelIRT
from bench.algorithms.maml import MAML
from bench.algorithms.rasch import Rasch
from bench.algorithms.two_pl import TwoPL
from bench.base.errors import BenchError
from bench.data.irt import IRTDataModule
from bench.tasks.episode import Episode
from bench.tutor import posterior

ITEMS = 60


@pytest.fixture
def data():
    return IRTDataModule(items=ITEMS, shots=10, queries=30, tested_shots=(1, 3, 5, 10))


def trained(learner, data, dimensions=1):
    """The learner with the items' true parameters, as endless training would give them."""
    learner.configure_model()
    a, b, _ = (torch.from_numpy(v) for v in data.item_parameters)
    with torch.no_grad():
        if isinstance(learner, TwoPL):
            learner.net.items.own.weight[:, 0] = -a * b
            learner.net.items.own.weight[:, 1:] = (a - 1)[:, None]
        else:
            learner.net.items.own.weight.zero_()
            learner.net.items.own.weight[:, -1] = -a * b
            learner.net.items.own.weight[:, 0] = a
    return learner


def students(data, shots, count=400):
    view = next(v for v in data.views("test") if v.shots == shots)
    return data.episodes("test", np.arange(view.first, view.first + count))


def exact(data, episode):
    """Mean and deviation of the true posterior's chances of right answers, by quadrature."""
    nodes, weights = data.nodes
    p = torch.from_numpy(data.probability(nodes)).clamp(1e-15, 1 - 1e-15)
    shown, asked = episode.support_x[..., 0].long(), episode.query_x[..., 0].long()
    likelihood = torch.where(episode.support_y > 0.5, p[:, shown], 1 - p[:, shown]).log()
    joint = (likelihood * episode.support_w).sum(2) + torch.from_numpy(weights).log()[:, None]
    weight = joint.softmax(0)[..., None]
    mean = (weight * p[:, asked]).sum(0)
    return mean, ((weight * p[:, asked] ** 2).sum(0) - mean**2).sqrt()


@pytest.fixture(scope="module")
def bilevel():
    """Trained for a few seconds on a small world, with its data."""
    data = IRTDataModule(items=40, shots=10, queries=20, tested_shots=(1, 3, 10))
    learner = BilevelIRT(spec=data.spec, model_options={"dimensions": 1})
    learner.configure_model()
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 600)
    for batch in range(600):
        optimizer.zero_grad()
        learner.loss(data.episodes("train", np.arange(64) + 64 * batch)).mean().backward()
        optimizer.step()
        schedule.step()
    return learner, data


@pytest.mark.parametrize("shots", [1, 3, 10])
def test_laplace_is_close_to_the_exact_posterior(bilevel, shots):
    learner, data = bilevel
    episode = students(data, shots)
    draws = posterior.draws([learner], episode, 400)
    mean, deviation = exact(data, episode)
    assert (draws.mean(1) - posterior.predicted(learner, episode)).abs().mean() < 0.01
    assert (draws.mean(1) - mean).abs().mean() < 0.05
    assert 0.95 < draws.std(1).mean() / deviation.mean() < 1.25  # rather too wide
    assert np.corrcoef(draws.std(1).flatten(), deviation.flatten())[0, 1] > 0.9


@pytest.mark.parametrize("shots", [1, 3, 10])
def test_the_true_chance_lies_between_the_draws_as_often_as_it_should(bilevel, shots):
    learner, data = bilevel
    episode = students(data, shots)
    ability = data.truth("test", data.students_of("test", episode.index.numpy()))["ability"]
    true = torch.from_numpy(data.probability(ability)).gather(1, episode.query_x[..., 0].long())
    draws = posterior.draws([learner], episode, 200).double()
    low, high = torch.quantile(draws, torch.tensor([0.05, 0.95]).double(), dim=1)
    assert 0.8 < ((low < true) & (true < high)).double().mean() < 0.95


@pytest.mark.parametrize(("model", "variance"), [("irt", 0.6), ("bayesian_irt", 1.0)])
def test_laplace_covariance_by_hand(data, double, model, variance):
    options = {"model": model, "inner_lr": 0.3, "inner_steps": 2}
    learner = BilevelIRT(spec=data.spec, model_options={"dimensions": 1}, **options)
    learner = trained(learner, data)
    if model == "bayesian_irt":
        torch.nn.init.zeros_(learner.net.average)
    episode = students(data, 3, 1)
    found = posterior.gaussian(learner, episode)
    theta = learner.ability(episode)[0, 0]
    a, b, _ = data.item_parameters
    item = episode.support_x[0, :, 0].long()[episode.support_w[0] > 0]
    a, b = torch.from_numpy(a)[item], torch.from_numpy(b)[item]
    p = (a * (theta - b)).sigmoid()
    assert len(item) == 3
    expected = 1 / (1 / variance + (a**2 * p * (1 - p)).sum())
    torch.testing.assert_close(found.covariance[0, 0, 0], expected)
    logits = found.logits
    if model == "bayesian_irt":  # predicts by the mean over abilities
        spread = found.slopes[..., 0] ** 2 * found.covariance[0, 0, 0] * learner.net.doubt**2
        logits = logits / (1 + torch.pi / 8 * spread).sqrt()
    torch.testing.assert_close(logits.sigmoid(), posterior.predicted(learner, episode))


def test_no_inner_step_leaves_nothing_to_be_unsure_of(data):
    learner = BilevelIRT(inner_steps=0, spec=data.spec)
    draws = posterior.draws([learner], students(data, 3, 5), 8)
    assert draws.shape == (5, 8, 30)
    torch.testing.assert_close(draws, draws[:, :1].expand_as(draws))


@pytest.mark.parametrize("shots", [1, 10])
def test_two_pl_draws_from_its_own_posterior(data, shots, double):
    learner, episode = trained(TwoPL(spec=data.spec), data), students(data, shots)
    draws = posterior.draws([learner], episode, 400)
    mean, deviation = exact(data, episode)
    torch.testing.assert_close(draws.mean(1), mean, atol=2e-3, rtol=0)
    torch.testing.assert_close(draws.std(1), deviation, atol=4e-3, rtol=0)
    found = posterior.gaussian(learner, episode)
    assert ((found.covariance > 0.1) & (found.covariance < 1)).all()


def test_growth_is_a_dimension_of_its_own(data):
    options = {"dimensions": 2, "growth": True}
    learner = BilevelIRT(model_options=options, spec=data.spec)
    found = posterior.gaussian(learner, students(data, 3, 4))
    assert found.slopes.shape == (4, 30, 4)
    when = students(data, 3, 4).query_x[..., 1] / 50
    torch.testing.assert_close(found.slopes[..., 2:], found.slopes[..., :2] * when[..., None])


def test_several_learners_are_one_draw_each(data):
    learners = [MAML(seed=s, spec=data.spec) for s in range(3)]
    episode = students(data, 3, 5)
    draws = posterior.draws(learners, episode)
    assert draws.shape == (5, 3, 30)
    torch.testing.assert_close(draws[:, 1], posterior.predicted(learners[1], episode))


def test_draws_are_the_same_again_and_leave_the_global_generator_alone(data):
    learner, episode = BilevelIRT(spec=data.spec), students(data, 3, 5)
    before = torch.get_rng_state()
    draws = posterior.draws([learner], episode, 7)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(draws, posterior.draws([learner], episode, 7))
    assert not torch.equal(draws, posterior.draws([learner], episode, 7, seed=1))
    alone = Episode(*(None if v is None else v[2:3] for v in episode))
    torch.testing.assert_close(draws[2:3], posterior.draws([learner], alone, 7))


def test_answers_of_the_query_are_not_read(data):
    episode = students(data, 3, 5)
    blind = episode._replace(query_y=1 - episode.query_y)
    for learner in (BilevelIRT(spec=data.spec), Rasch(spec=data.spec)):
        p = posterior.draws([learner], blind, 4)
        torch.testing.assert_close(p, posterior.draws([learner], episode, 4))


def test_one_learner_without_an_ability_is_refused(data):
    with pytest.raises(BenchError, match="one MAML has no posterior: give several checkpoints"):
        posterior.draws([MAML(spec=data.spec)], students(data, 3, 2))
