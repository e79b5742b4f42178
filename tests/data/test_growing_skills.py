from itertools import product

import numpy as np
import pytest
from scipy import integrate, special
from scipy.stats import norm

from bench.base.errors import BenchError
from bench.data.growing_skills import GrowingSkillsDataModule
from bench.tasks.questions import FEATURES

MASKS = {
    "first": [1, 1, 1, 0, 0, 0],
    "random": [0, 1, 0, 0, 1, 1],
    "next": [1, 1, 1, 1, 1, 0],
    "a gap": [1, 0, 0, 0, 1, 0],
    "none": [0, 0, 0, 0, 0, 0],
}
SHOWN = {"concepts": 2, "items": 7, "fixed_order": False, "show_skills": True}


def brute_force(data, item, answer, support):
    """P(right) of each answer not shown: adaptive integration over the ability at the start.

    Of every path of answers not shown, as each makes the ability grow.
    """
    h, expected = data.hparams, np.empty(len(item))
    by_wrong = h["growth"] if h["growth_wrong"] is None else h["growth_wrong"]
    nodes, weights = special.roots_hermitenorm(150)
    weights = weights / weights.sum()

    def right(j, ability):
        if j < data.items:
            p = special.expit(ability - data.difficulty[j])
        else:
            prior, noise = h["difficulty_sd"] ** 2, h["estimate_noise"] ** 2
            mean = prior / (prior + noise) * data.features[j, -1]
            sd = np.sqrt(prior * noise / (prior + noise))
            p = weights @ special.expit(ability - mean - sd * nodes)
        return h["guess"] + (1 - h["guess"]) * p

    for k in range(h["concepts"]):
        at = np.flatnonzero(data.concept[item] == k)
        possible = [[answer[t]] if support[t] else [False, True] for t in at]

        def paths(z, at=at, possible=possible):
            total, each = 0.0, np.zeros(len(at))
            for path in product(*possible):
                ability, chance = h["ability_mean"] + h["ability_sd"] * z, norm.pdf(z)
                for t, said in zip(at, path):
                    p = right(item[t], ability)
                    chance *= p if said else 1 - p
                    ability += h["growth"] if said else by_wrong
                total, each = total + chance, each + chance * np.array(path)
            return np.r_[total, each]

        # In parts, lest a narrow peak be missed.
        parts = {"points": np.linspace(-6, 6, 5), "epsabs": 0, "epsrel": 1e-10}
        v = integrate.quad_vec(paths, -9, 9, **parts)[0]
        expected[at] = v[1:] / v[0]
    return expected[~support]


def compare(data, rows, mask):
    support = np.tile(np.array(mask, bool), (2, 1))
    item = data.met("test", np.arange(2))
    answer = data.answers("test", np.arange(2), item)[0]
    answer[1] ^= np.arange(answer.shape[1]) % 3 == 1  # unlikely ones too
    p = data.ceiling(rows(data, item), answer, support)
    for s in range(2):
        expected = brute_force(data, item[s], answer[s], support[s])
        np.testing.assert_allclose(p[s][~support[s]], expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("growth_wrong", [None, 0.0, -0.7])
def test_the_ceiling_is_that_of_adaptive_integration(rows, mask, growth_wrong):
    grows = {"growth": 0.5, "growth_wrong": growth_wrong, "ability_mean": -0.5}
    compare(GrowingSkillsDataModule(shots=3, queries=3, **grows, **SHOWN), rows, mask)


@pytest.mark.parametrize("mask", [MASKS["random"], MASKS["first"]], ids=["random", "first"])
def test_a_new_item_is_averaged_over_what_is_not_known_of_it(rows, mask):
    data = GrowingSkillsDataModule(
        shots=3, queries=3, new_items=7, estimate_noise=0.7, growth_wrong=0.4, **SHOWN
    )
    item = data.met("test", np.arange(2))
    assert (item >= 7).any(1).all()
    assert (item < 7).any(1).all()
    compare(data, rows, mask)


@pytest.mark.parametrize("concepts", [1, 40])
@pytest.mark.parametrize("ability_sd", [0.0, 1.0, 10.0])
def test_the_grid_is_fine_enough_for_few_and_many_answers(rows, concepts, ability_sd):
    data = GrowingSkillsDataModule(
        concepts=concepts,
        ability_sd=ability_sd,
        growth=0.01,
        growth_wrong=-0.01,
        difficulty_sd=0.1,  # so that every answer tells as much as it can
        guess=0.0,
        items=40,
        queries=30,
    )
    compare(data, rows, np.arange(40) % 20 > 0)


def test_what_is_exact_and_what_is_not_known_at_all(rows):
    for known in ({"estimate_noise": 0.0}, {"difficulty_sd": 0.0}):
        data = GrowingSkillsDataModule(shots=3, queries=3, new_items=7, **known, **SHOWN)
        item = np.array([[7, 8, 0, 9, 1, 2]])
        answer, support = item % 2 == 0, item < 9
        seen = rows(data, item)
        p = data.ceiling(seen, answer, support)[~support]
        world = GrowingSkillsDataModule(shots=3, queries=3, **known, **SHOWN | {"items": 14})
        np.testing.assert_array_equal(world.concept, data.concept)
        expected = world.ceiling(rows(world, item), answer, support)[~support]
        np.testing.assert_allclose(p, expected, rtol=0, atol=1e-12)


def test_later_answers_tell_of_earlier_questions(rows):
    data = GrowingSkillsDataModule(concepts=1, shots=3, queries=3, items=6)
    x, support = rows(data, np.arange(6)[None]), np.array([[0, 0, 0, 1, 1, 1]], bool)
    wrong, right = (data.ceiling(x, np.full((1, 6), v), support)[0, :3] for v in (False, True))
    assert (right > wrong + 0.3).all()


@pytest.mark.parametrize("growth_wrong", [None, -0.2])
def test_answers_follow_the_model(growth_wrong):
    data = GrowingSkillsDataModule(
        concepts=3, items=30, queries=20, growth=0.3, growth_wrong=growth_wrong
    )
    students = np.arange(20_000)
    answer, truth = data.answers("train", students, data.met("train", students))
    by_wrong = 0.3 if growth_wrong is None else growth_wrong
    grown, after = np.where(answer, 0.3, by_wrong), truth["ability"]
    concept, number = data.concept, np.arange(30)
    later = (concept[:, None] == concept) & (number[:, None] >= number)  # [later, item]
    ability = after[:, concept] - grown @ later
    p = 0.1 + 0.9 * special.expit(ability - data.difficulty)
    for group in (p < 0.3, (p > 0.3) & (p < 0.8), p > 0.8):
        off = ((answer - p) * group).sum(0) / np.sqrt((p * (1 - p) * group).sum(0))
        assert np.abs(off).max() < 4.5
    start = after - np.stack([grown[:, concept == k].sum(1) for k in range(3)], 1)
    assert np.abs(start.mean(0)).max() < 4 * 3 / np.sqrt(len(students))
    covariance = np.cov(start.T) - 9 * np.eye(3)
    assert np.abs(covariance).max() < 4 * 9 * np.sqrt(2 / len(students))


def test_items_share_the_concepts_evenly():
    data = GrowingSkillsDataModule(items=2000, fixed_order=False, show_skills=True, new_items=10)
    np.testing.assert_array_equal(np.bincount(data.concept[:2000]), 400)
    assert abs(data.difficulty.mean()) < 4 / np.sqrt(2000)
    assert abs(data.difficulty.std() - 1) < 4 / np.sqrt(4000)
    noise = data.features[:, -1] - data.difficulty
    assert abs(noise.std() - 0.5) < 2 / np.sqrt(4000)
    np.testing.assert_array_equal(data.features[:, :-1].argmax(1), data.concept)
    few = GrowingSkillsDataModule(items=2000)
    np.testing.assert_array_equal(few.concept, data.concept[:2000])
    np.testing.assert_array_equal(few.difficulty, data.difficulty[:2000])


def test_everybody_meets_the_same_items_and_concepts_are_not_told():
    data = GrowingSkillsDataModule(shots=25, queries=25, protocol="first")
    e = data.episodes("train", np.arange(3))
    assert e.support_x.shape == (3, 25, FEATURES)
    assert (e.support_x[..., 0] == np.arange(25)).all()
    assert (e.query_x[..., 0] == np.arange(25, 50)).all()
    shown = GrowingSkillsDataModule(show_skills=True)
    assert shown.spec.input_shape == (FEATURES + 5,)
    assert shown.skills == 5
    assert data.skills == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"concepts": 0}, "concepts=0: give a whole number"),
        ({"ability_mean": 11}, "ability_mean=11: give a number from -10 to 10"),
        ({"ability_sd": -1}, "ability_sd=-1: give a number from 0 to 10"),
        ({"growth": "much"}, "growth='much': give a number"),
        ({"growth_wrong": float("nan")}, "growth_wrong=nan: give a number"),
        ({"difficulty_sd": True}, "difficulty_sd=True: give a number"),
        ({"guess": 1.0}, "guess=1.0: give a number from 0 to 0.99"),
        ({"new_items": 3}, "fixed_order leaves no place for new_items"),
        ({"new_items": 3, "fixed_order": False}, "set show_skills=True"),
        ({"shots": 30, "queries": 30}, "more than items=50"),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(BenchError, match=message):
        GrowingSkillsDataModule(**wrong)
