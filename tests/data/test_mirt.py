import numpy as np
import pytest
from scipy import special
from scipy.stats import multivariate_normal

from bench.base.errors import BenchError
from bench.data.mirt import MIRTDataModule
from bench.data.students import quadrature


def test_answers_follow_the_model():
    data = MIRTDataModule(correlation=0.6, items=50)
    students = np.arange(4000)
    item, answer, _ = data.sequences("train", students)
    ability = data.truth("train", students)["ability"]
    np.testing.assert_allclose(ability.mean(0), 0, atol=4 / np.sqrt(4000))
    correlation = np.where(np.eye(3), 1, 0.6)
    np.testing.assert_allclose(np.cov(ability.T), correlation, atol=4 * np.sqrt(2 / 4000))
    a, b = data.item_parameters
    p = special.expit(np.take_along_axis(ability @ a.T, item, 1) - b[item])
    for group in (item, np.floor(10 * p).astype(int)):
        excess, variance = (
            np.bincount(group.ravel(), v.ravel()) for v in (answer - p, p * (1 - p))
        )
        assert np.abs(excess / np.sqrt(variance)).max() < 4


def test_items_load_on_their_skills():
    data = MIRTDataModule(items=3000, new_items=5, skills_per_item=3, discrimination_sd=0.4)
    a, b = data.item_parameters
    np.testing.assert_array_equal(a > 0, data.q_matrix)
    assert set(data.q_matrix.sum(1)) == {1, 2, 3}
    log_a = np.log(a[data.q_matrix]) / 0.4
    for value in (log_a, b):
        assert abs(value.mean()) < 4 / np.sqrt(len(value))
        assert abs(value.std() - 1) < 4 / np.sqrt(2 * len(value))
    np.testing.assert_array_equal(data.features[:, :3], data.q_matrix)
    assert (data.spec.skills, data.spec.input_shape) == (3, (6,))
    few = MIRTDataModule(items=4, shots=2, queries=2, dimensions=4, skills_per_item=3)
    np.testing.assert_array_equal(few.q_matrix.sum(1), 1)
    np.testing.assert_array_equal(few.q_matrix.sum(0), 1)


@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_the_ceiling_is_that_of_gauss_and_legendre(rows, correlation):
    data = MIRTDataModule(dimensions=2, correlation=correlation, items=8, shots=4, queries=1)
    item = data.met("test", np.arange(2))
    answer = np.array([[1, 0, 0, 1, 0], [0, 0, 1, 0, 0]], bool)
    support = np.array([[1, 1, 1, 1, 0]] * 2, bool)
    p = data.ceiling(rows(data, item), answer, support)
    a, b = data.item_parameters
    x, w = np.polynomial.legendre.leggauss(200)
    grid = 7 * np.stack(np.meshgrid(x, x), -1)
    w = np.outer(w, w) * multivariate_normal(cov=data.correlation).pdf(grid)
    for s in range(2):
        right = special.expit(grid @ a[item[s]].T - b[item[s]])
        shown = np.where(answer[s], right, 1 - right)[..., :4].prod(-1)
        expected = (w * shown * right[..., 4]).sum() / (w * shown).sum()
        assert abs(p[s, 4] - expected) < 1e-5


@pytest.mark.parametrize(
    ("options", "accuracy"),
    [
        ({"dimensions": 1, "shots": 1}, 1e-5),
        ({"dimensions": 2, "shots": 25, "new_items": 3}, 1e-5),
        ({"dimensions": 3, "shots": 3}, 1e-5),
        ({"dimensions": 3, "shots": 25, "correlation": 0.7}, 1e-5),
        ({"dimensions": 4, "shots": 1}, 1e-5),
    ],
)
def test_a_finer_rule_changes_nothing(options, accuracy, monkeypatch):
    data = MIRTDataModule(test_episodes=20, **options)
    e = data.episodes("test", np.arange(20))
    p = data.ceiling_of(e)
    rule = quadrature.body_centred
    monkeypatch.setattr(
        quadrature, "body_centred", lambda step, radius, c: rule(step / 1.4, radius + 0.5, c)
    )
    finer = MIRTDataModule(test_episodes=20, **options)
    assert len(finer.nodes[1]) > 1.5 * len(data.nodes[1])
    np.testing.assert_allclose(p, finer.ceiling_of(e), rtol=0, atol=accuracy)


def test_the_finest_rule_that_fits_is_taken():
    for dimensions, shots, radius in ((3, 25, 6.0), (5, 10, 5.5), (5, 25, 5.0)):
        data = MIRTDataModule(dimensions=dimensions, shots=shots, queries=40)
        assert data.rule[1] == radius
    nodes, weights = quadrature.body_centred(*data.rule, data.correlation)
    estimate = quadrature.body_centred_nodes(*data.rule, data.correlation)
    assert abs(len(nodes) / estimate - 1) < 0.01
    np.testing.assert_allclose(nodes.T * weights @ nodes, data.correlation, atol=1e-3)


def test_a_new_item_is_averaged_over_what_is_not_known_of_it():
    data = MIRTDataModule(dimensions=2, items=4, new_items=2, shots=2, queries=2)
    nodes, estimate = data.nodes[0], 0.7
    center, sd = 0.8 * estimate, np.sqrt(0.2)  # of b

    z, w = special.roots_hermitenorm(100)
    w = w / w.sum()
    curve = data.new_curve(np.array([0, 1, estimate]))
    for node in range(0, len(nodes), len(nodes) // 9):
        right = special.expit(np.exp(0.3 * z)[:, None] * nodes[node, 1] - center - sd * z)
        assert abs(curve[node] - w @ right @ w) < 1e-6
    # Two skills: against many random draws.
    rng = np.random.default_rng(0)
    z, v = rng.standard_normal((2, 400_000)), rng.standard_normal(400_000)
    curve = data.new_curve(np.array([1, 1, estimate]))
    for node in range(0, len(nodes), len(nodes) // 5):
        draws = special.expit(nodes[node] @ np.exp(0.3 * z) - center - sd * v)
        assert abs(curve[node] - draws.mean()) < 4 * draws.std() / np.sqrt(len(v)) + 1e-9


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dimensions": 0}, "dimensions=0: give a whole number of at least 1"),
        ({"dimensions": 6}, "dimensions=6: give a number from 1 to 5"),
        ({"dimensions": 4, "items": 3, "shots": 1, "queries": 1}, "dimensions=4: .* from 1 to 3"),
        ({"skills_per_item": 4}, "skills_per_item=4: give a number from 1 to 3"),
        ({"correlation": 0.95}, "correlation=0.95: give a number from 0 to 0.9"),
        ({"discrimination_sd": 2}, "discrimination_sd=2: give a number from 0 to 1"),
        ({"difficulty_sd": -1}, "difficulty_sd=-1: give a number from 0 to 3"),
        ({"dimensions": 5, "shots": 59}, "dimensions=5 with 59 answers shown: .* fewer dimensions"),
    ],
)
def test_wrong_options(wrong, message):
    with pytest.raises(BenchError, match=message):
        MIRTDataModule(**wrong)
