from itertools import product

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bench.base.errors import BenchError
from bench.data.dina import DINADataModule


def shares(data):
    """How frequent each profile is, from many students: an independent way to the prior."""
    mastery = data.truth("train", np.arange(200_000))["mastery"].astype(int)
    return np.bincount(mastery @ 2 ** np.arange(mastery.shape[1])[::-1]) / len(mastery)


def test_answers_follow_the_model():
    data = DINADataModule(items=50, skills=4)
    students = np.arange(5000)
    item, answer, _ = data.sequences("train", students)
    mastery = data.truth("train", students)["mastery"]
    slip, guess = data.item_parameters
    for group in range(2):
        able = (mastery[:, None] >= data.q_matrix[item]).all(-1)
        p = np.where(able, 1 - slip[item], guess[item])
        there = able == group
        excess, variance = (np.bincount(item[there], v[there]) for v in (answer - p, p * (1 - p)))
        assert np.abs(excess / np.sqrt(variance)).max() < 4


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_the_profiles_are_as_frequent_as_students_show(correlation):
    data = DINADataModule(skills=4, correlation=correlation)
    profiles, weight = data.nodes
    np.testing.assert_array_equal(profiles, list(product([0, 1], repeat=4)))
    assert abs(weight.sum() - 1) < 1e-12
    z = (shares(data) - weight) / np.sqrt(weight * (1 - weight) / 200_000)
    assert np.abs(z).max() < 4
    # All four skills at once: a corner of a four-dimensional normal distribution.
    sigma = np.where(np.eye(4), 1, correlation)
    corner = multivariate_normal.cdf(data.thresholds, cov=sigma, maxpts=10**6, abseps=1e-6)
    assert abs(weight[-1] - corner) < 1e-5


def test_items_and_skills_lie_in_their_ranges():
    data = DINADataModule(
        items=1000, new_items=10, slip=(0.1, 0.3), guess=(0.2, 0.2), prevalence=(0.4, 0.6)
    )
    slip, guess = data.item_parameters
    assert 0.1 < slip.min() < 0.102 < 0.298 < slip.max() < 0.3
    assert (guess == 0.2).all()
    q = data.q_matrix
    assert set(q.sum(1)) == {1, 2, 3}
    assert (q.mean(0) > 0.3).all()
    np.testing.assert_array_equal(data.features, q)  # no estimate of a difficulty
    assert (data.spec.skills, data.spec.input_shape, data.spec.items) == (5, (7,), 1001)
    mastered = data.truth("train", np.arange(20_000))["mastery"].mean(0)
    assert ((mastered > 0.38) & (mastered < 0.62)).all()
    few = DINADataModule(items=6, skills=5, shots=2, queries=2).q_matrix
    assert all((few == np.eye(5, dtype=bool)[k]).all(1).any() for k in range(5))


@pytest.mark.parametrize("skills", [1, 3, 8])
def test_the_ceiling_is_that_of_counting_everything(rows, skills):
    """New items enter by every slip and guess they could have had, on a grid of them."""
    data = DINADataModule(skills=skills, items=9, new_items=3, shots=4, queries=3)
    item = np.array([[3, 9, 0, 10, 5, 11, 7], [8, 2, 11, 1, 10, 4, 9]])
    answer = np.random.default_rng(1).random(item.shape) < 0.5
    support = np.array([[1, 1, 0, 1, 1, 0, 0]] * 2, bool)
    p = data.ceiling(rows(data, item), answer, support)
    middles = 0.05 + 0.2 * (np.arange(10) + 0.5) / 10
    slip, guess = data.item_parameters
    for s in range(2):
        total, right = 0.0, np.zeros(item.shape[1])
        for profile, weight in zip(*data.nodes):
            chance = np.empty(item.shape[1])
            for t, j in enumerate(item[s]):
                able = all(profile[k] for k in np.flatnonzero(data.q_matrix[j]))
                if j < 9:
                    chance[t] = 1 - slip[j] if able else guess[j]
                else:
                    chance[t] = np.mean(1 - middles if able else middles)
            shown = np.where(answer[s], chance, 1 - chance)[support[s]].prod()
            total, right = total + weight * shown, right + weight * shown * chance
        unseen = ~support[s]
        np.testing.assert_allclose(p[s, unseen], (right / total)[unseen], rtol=0, atol=1e-12)


def test_without_slips_and_guesses_the_answers_are_certain():
    data = DINADataModule(skills=1, skills_per_item=1, slip=(0, 0), guess=(0, 0))
    e = data.episodes("test", np.arange(50))
    np.testing.assert_allclose(data.ceiling_of(e), e.query_y.numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"skills": 0}, "skills=0: give a whole number of at least 1"),
        ({"skills": 9}, "skills=9: give at most 8"),
        ({"skills": 4, "items": 3, "shots": 1, "queries": 1}, "skills=4: give at most 3"),
        ({"skills_per_item": 0}, "skills_per_item=0"),
        ({"slip": 0.1}, "slip=0.1: give a list of numbers"),
        ({"guess": (0.3, 0.1)}, r"guess=\(0.3, 0.1\): .* lower one first"),
        ({"slip": (0.1, 0.6), "guess": (0.1, 0.5)}, "slip.*and guess.*can add up to 1"),
        ({"prevalence": (0.5, 1.5)}, "prevalence="),
        ({"correlation": -0.1}, "correlation=-0.1: give a number from 0 to 0.9"),
    ],
)
def test_wrong_options(wrong, message):
    with pytest.raises(BenchError, match=message):
        DINADataModule(**wrong)
