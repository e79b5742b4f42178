import numpy as np
import pytest
import torch
from scipy import integrate, special
from scipy.stats import norm

from bench.base.errors import BenchError
from bench.data.irt import IRTDataModule
from bench.tasks.questions import FEATURES, ITEM, POSITION


def integral(f):
    return integrate.quad(f, -10, 10, epsabs=0, epsrel=1e-10, limit=200)[0]


def brute_force(curves, answer, support):
    """P(right) of each question not shown, by adaptive integration over the ability.

    ``curves``: functions of the ability, one a question.
    """

    def likelihood(theta):
        p = [c(theta) for c in curves]
        shown = (v if said else 1 - v for v, said, s in zip(p, answer, support) if s)
        return norm.pdf(theta) * np.prod(list(shown))

    total = integral(likelihood)
    asked = (c for c, s in zip(curves, support) if not s)
    return [integral(lambda t: likelihood(t) * c(t)) / total for c in asked]  # noqa: B023


def curve(a, b, c):
    return lambda theta: c + (1 - c) * special.expit(a * (theta - b))


def test_columns():
    data = IRTDataModule(shots=3, queries=4, items=9, new_items=2)
    e = data.episodes("val", np.arange(50))
    assert e.support_x.shape == (50, 3, 3)
    assert e.query_x.shape == (50, 4, 3)
    assert e.support_y.shape == (50, 3)
    assert e.support_x.dtype == e.support_y.dtype == torch.float32
    assert set(e.query_y.unique().tolist()) == {0, 1}
    x = torch.cat([e.support_x, e.query_x], 1)
    assert set(x[..., ITEM].unique().tolist()) == set(range(10))  # 9 stands for both new ones
    assert (x[..., POSITION].sort(1).values == torch.arange(7)).all()
    estimates = {x[..., FEATURES][x[..., ITEM] == j].unique().numel() for j in range(9)}
    assert estimates == {1}
    assert x[..., FEATURES][x[..., ITEM] == 9].unique().numel() == 2
    assert (data.spec.kind, data.spec.input_shape, data.spec.items) == ("answers", (3,), 10)
    assert IRTDataModule(items=60).spec.input_shape == (2,)


def test_a_student_answers_each_question_once():
    data = IRTDataModule(shots=4, queries=6, items=10)
    e = data.episodes("train", np.arange(200))
    items = torch.cat([e.support_x, e.query_x], 1)[..., ITEM].sort(1).values
    assert torch.equal(items, torch.arange(10.0).expand(200, 10))
    # Which questions are answered first is random.
    counts = np.bincount(e.support_x[..., ITEM].flatten().int(), minlength=10)
    assert ((counts - 80) ** 2 / 80).sum() < 27.9  # 99.9 % of chi-square, 9 degrees


@pytest.mark.parametrize("model", ["1pl", "2pl", "3pl"])
def test_answers_follow_the_model(model):
    data = IRTDataModule(model=model, items=50, guess_max=0.4)
    students = np.arange(3000)
    item, answer, _ = data.sequences("train", students)
    a, b, c = (v[item] for v in data.item_parameters)
    p = c + (1 - c) / (1 + np.exp(-a * (data.truth("train", students)["ability"] - b)))
    # Per question, and per tenth of the model's probability.
    for group in (item, np.floor(10 * p).astype(int)):
        excess, variance = (
            np.bincount(group.ravel(), v.ravel()) for v in (answer - p, p * (1 - p))
        )
        z = excess[variance > 0] / np.sqrt(variance[variance > 0])
        assert np.abs(z).max() < 4
        assert 0.2 < (z**2).mean() < 2.5


def test_abilities_and_items_have_the_stated_distributions():
    data = IRTDataModule(model="3pl", items=2000, new_items=2000)
    ability = data.truth("train", np.arange(2000))["ability"][:, 0]
    a, b, c = data.item_parameters
    noise = data.features[:, 0] - b
    for value in (ability, b, np.log(a) / 0.4, noise / 0.5):
        assert abs(value.mean()) < 4 / np.sqrt(len(value))
        assert abs(value.std() - 1) < 4 / np.sqrt(2 * len(value))
    for value in (a, noise, c):
        assert abs(np.corrcoef(value, b)[0, 1]) < 4 / np.sqrt(len(b))
    assert 0 < c.min() < 0.01 < 0.24 < c.max() < 0.25
    rasch = IRTDataModule(model="1pl").item_parameters
    assert (rasch[0] == 1).all()
    assert (rasch[2] == 0).all()


@pytest.mark.parametrize("model", ["1pl", "2pl", "3pl"])
@pytest.mark.parametrize("shown", [0, 1, 5, 30])
def test_the_ceiling_is_that_of_adaptive_integration(rows, model, shown):
    data = IRTDataModule(model=model, shots=30, queries=2, data_seed=3)
    item = data.met("test", np.arange(2))
    answer = data.answers("test", np.arange(2), item)[0]
    answer[1] = ~answer[1]  # unlikely ones too
    support = np.broadcast_to(np.arange(32) < shown, item.shape)
    p = data.ceiling(rows(data, item), answer, support)
    for s in range(2):
        curves = [curve(*(v[j] for v in data.item_parameters)) for j in item[s]]
        there = np.r_[:shown, -2:0]  # a query alone is enough
        expected = brute_force([curves[j] for j in there], answer[s, there], support[s, there])
        np.testing.assert_allclose(p[s, -2:], expected, rtol=0, atol=1e-8)


def test_a_new_item_is_averaged_over_what_is_not_known_of_it(rows):
    data = IRTDataModule(model="3pl", items=4, new_items=3, shots=3, queries=1)
    item = np.array([[4, 0, 5, 6]])
    x, estimate = rows(data, item), data.features[4:, 0]

    z, w = special.roots_hermitenorm(200)
    w = w / w.sum()

    def new_curve(e, theta):
        b = 0.8 * e + np.sqrt(0.2) * z  # prior and noise have variances 1 and 1/4
        right = special.expit(np.exp(0.4 * z)[:, None] * (theta - b))
        return 0.125 + 0.875 * (w @ right @ w)  # c is 1/8 on average

    nodes = data.nodes[0][:, 0]
    some = np.abs(nodes).argsort()[[0, 30, 60]]
    data.ceiling(x, np.ones((1, 4), bool), np.zeros((1, 4), bool))
    for e in estimate[:2]:
        expected = [new_curve(e, t) for t in nodes[some]]
        got = data.new_curve(np.array([e]))
        np.testing.assert_allclose(got[some], expected, rtol=0, atol=1e-9)
    # With such curves, the ceiling is as for known items.
    known = curve(*(v[0] for v in data.item_parameters))
    table = [data.new_curve(np.array([e])) for e in estimate]
    curves = [table[0], known(nodes), table[1], table[2]]
    answer, support = np.array([[1, 0, 1, 0]], bool), np.array([[1, 1, 1, 0]], bool)
    w = data.nodes[1] * curves[0] * (1 - curves[1]) * curves[2]
    expected = (w * curves[3]).sum() / w.sum()
    assert abs(data.ceiling(x, answer, support)[0, 3] - expected) < 1e-12


def test_an_estimate_without_noise_or_of_no_use():
    exact = IRTDataModule(model="1pl", new_items=2, estimate_noise=0.0)
    b = exact.difficulty[-1]
    np.testing.assert_allclose(
        exact.new_curve(exact.features[-1]), special.expit(exact.nodes[0][:, 0] - b), atol=1e-12
    )
    alike = IRTDataModule(model="1pl", new_items=2, difficulty_sd=0.0)
    np.testing.assert_allclose(
        alike.new_curve(alike.features[-1]), special.expit(alike.nodes[0][:, 0]), atol=1e-12
    )


def test_knowing_more_predicts_better():
    def loss(shots):
        data = IRTDataModule(shots=shots, queries=20, test_episodes=500)
        e = data.episodes("test", np.arange(500))
        p, y = data.ceiling_of(e), e.query_y.numpy()
        return -np.log(np.where(y > 0, p, 1 - p)).mean()

    assert loss(1) > loss(5) + 0.01 > loss(25) + 0.02


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"shots": 5, "queries": 6, "items": 10}, r"shots=5 \+ queries=6 is more than items=10"),
        ({"shots": 0}, "shots=0"),
        ({"model": "2pm"}, "model='2pm': did you mean 2pl"),
        ({"discrimination_sd": -0.1}, "discrimination_sd=-0.1: give a number from 0 to 1"),
        ({"difficulty_sd": "wide"}, "difficulty_sd='wide': give a number"),
        ({"guess_max": 0.6}, "guess_max=0.6: give a number from 0 to 0.5"),
        ({"estimate_noise": float("nan")}, "estimate_noise=nan: give a number"),
    ],
)
def test_wrong_options(wrong, message):
    with pytest.raises(BenchError, match=message):
        IRTDataModule(**wrong)


def test_rows_that_are_never_shown_do_not_count():
    data = IRTDataModule(shots=20, tested_shots=(10,), queries=5)
    for split in ("train", "test"):
        e = data.episodes(split, np.arange(3))
        there = e.support_x[..., POSITION] >= 0
        assert (e.support_w[there] == 1).all()
        assert (e.support_w.sum(1) == 10).all()
