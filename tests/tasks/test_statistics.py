import numpy as np
import pytest

from bench.tasks.statistics import (
    Interval,
    auc_placements,
    interval,
    interval_over_runs,
    paired_difference,
    share_of_way,
)


def pooled_auc(scores, answers, weights):
    """Share of (right, wrong) pairs of answers that are in order, ties half: by counting."""
    scores, answers, used = scores.ravel(), answers.ravel(), weights.ravel() > 0
    right, wrong = scores[used & (answers == 1)], scores[used & (answers == 0)]
    pairs = [(r > w) + 0.5 * (r == w) for r in right for w in wrong]
    return np.mean(pairs)


def made_up(rng, episodes, answers=8):
    """Students of different ability: the answers of one are alike, so episodes are clusters."""
    ability = rng.normal(size=(episodes, 1))
    scores = (0.7 * ability + rng.normal(size=(episodes, answers))).round(1)  # rounded: ties
    right = rng.random((episodes, answers)) < 1 / (1 + np.exp(-scores - 0.5 * ability))
    return scores, right.astype(float), (rng.random((episodes, answers)) < 0.8).astype(float)


def test_interval_by_hand():
    # mean 3, deviations -2 -1 0 1 2: variance 10 / 4, standard error sqrt(2.5 / 5)
    # 97.5 % point of Student's t: 4 degrees of freedom 2.776445 in every table
    assert interval([1, 2, 3, 4, 5]) == pytest.approx((3, 2.776445 * 0.5**0.5))
    mean, half_width = interval([0.5])
    assert mean == 0.5
    assert np.isnan(half_width)


@pytest.mark.parametrize(("episodes", "point"), [(20, 2.093024), (600, 1.963926), (10**5, 1.95998)])
def test_few_episodes_have_a_wider_interval_than_many(episodes, point):
    values = np.random.default_rng(0).normal(size=episodes)
    standard_error = values.std(ddof=1) / episodes**0.5
    assert interval(values).half_width / standard_error == pytest.approx(point, rel=1e-5)


def test_an_interval_of_few_episodes_holds_the_mean_as_often_as_it_says():
    values = np.random.default_rng(1).normal(size=(2_000, 5))
    holds = [abs(found.mean) < found.half_width for found in map(interval, values)]
    assert np.mean(holds) == pytest.approx(0.95, abs=0.015)


def test_excludes_zero():
    assert Interval(-0.2, 0.1).excludes_zero
    assert not Interval(0.1, 0.1).excludes_zero
    assert not Interval(0.1, float("nan")).excludes_zero


def test_pairing_removes_the_difficulty_of_episodes():
    rng = np.random.default_rng(0)
    difficulty = rng.normal(size=500)
    a, b = difficulty + 0.05, difficulty + rng.normal(size=500) / 100
    paired = paired_difference(a, b)
    assert paired == pytest.approx(interval(a - b))
    assert paired.excludes_zero
    assert paired.half_width < interval(a).half_width / 50


@pytest.mark.parametrize("runs", [3, 5, 10])
@pytest.mark.parametrize(
    ("of_runs", "of_episodes", "rest"),
    [(0.2, 1.0, 1.0), (1.0, 1.0, 1.0), (0.0, 2.0, 1.0), (0.3, 0.0, 1.0), (0.1, 1.0, 0.1)],
)
def test_an_interval_over_runs_and_episodes_holds_the_truth(runs, of_runs, of_episodes, rest):
    """On made-up results whose truth is known, as often as it says and not much more often."""
    rng, episodes, truth, times = np.random.default_rng(2), 40, 0.7, 1500
    found = {"both": [], "runs": [], "episodes": []}
    for _ in range(times):
        values = (
            truth + of_runs * rng.normal(size=(runs, 1)) + rest * rng.normal(size=(runs, episodes))
        )
        values += of_episodes * rng.normal(size=episodes)
        found["both"].append(interval_over_runs(values))
        found["runs"].append(interval(values.mean(1)))
        found["episodes"].append(interval(values.mean(0)))
    holds = {
        name: np.mean([abs(f.mean - truth) <= f.half_width for f in each])
        for name, each in found.items()
    }
    assert 0.935 <= holds["both"] <= 0.99, holds
    widths = np.array([f.half_width for f in found["both"]])
    assert widths.max() < 12 * np.median(widths)  # never nonsense, whatever cancels
    # and what covers one of the two alone does not, where the other matters
    if of_episodes >= 1 and of_runs <= 0.2:
        assert holds["runs"] < 0.92
    if of_runs >= 1:
        assert holds["episodes"] < 0.7


def test_an_interval_over_runs_by_hand():
    # runs 1 2 3 (variance 1), nothing of episodes: Student t over runs, 2 degrees: 4.302653
    values = np.array([[1.0], [2.0], [3.0]]) + np.array([[0.5, -0.5], [-0.5, 0.5], [0.0, 0.0]])
    assert interval_over_runs(values) == pytest.approx((2, 4.302653 / 3**0.5))
    # nothing of runs: parts 0, 1 / 4 of variance 5 / 3, nothing else: 3 degrees: 3.182446
    values = np.array([[0.0, 1.0, 2.0, 3.0]] * 3)
    assert interval_over_runs(values) == pytest.approx((1.5, 3.182446 * (5 / 12) ** 0.5))
    # runs that agree by chance, though their episodes do not: as over the episodes alone
    values = np.array([[0.0, 6.0, 3.0, 3.0], [6.0, 0.0, 3.0, 3.0], [3.0, 3.0, 0.0, 6.0]])
    assert interval(values.mean(1)).half_width == 0
    assert interval_over_runs(values) == interval(values.mean(0))
    # what has diverged stays so
    assert np.isnan(interval_over_runs([[1, 2], [np.nan, 2], [1, 1]]).half_width)


def test_placements_average_to_the_pooled_auc_exactly():
    rng = np.random.default_rng(1)
    for episodes in (2, 7, 30):
        scores, answers, weights = made_up(rng, episodes)
        values = auc_placements(scores, answers, weights)
        assert values.shape == (episodes,)
        assert values.mean() == pytest.approx(pooled_auc(scores, answers, weights), abs=1e-12)
        everything = auc_placements(scores, answers)
        expected = pooled_auc(scores, answers, np.ones_like(scores))
        assert everything.mean() == pytest.approx(expected, abs=1e-12)


def test_placements_by_hand():
    # one right above one wrong, one right tied with it: AUC (1 + .5) / 2
    values = auc_placements([[2.0, 1.0], [1.0, 9.0]], [[1, 0], [1, 0]], [[1, 1], [1, 0]])
    assert values.mean() == pytest.approx(0.75)


def test_padding_does_not_count():
    scores, answers, weights = made_up(np.random.default_rng(2), 10)
    padded = np.where(weights > 0, scores, 1e6), np.where(weights > 0, answers, 1)
    assert auc_placements(*padded, weights) == pytest.approx(
        auc_placements(scores, answers, weights)
    )


def test_chance_perfection_and_nothing_to_rank():
    answers = np.array([[1, 0], [1, 0], [0, 1]])
    assert auc_placements(answers, answers) == pytest.approx(np.ones(3))
    assert auc_placements(np.zeros((3, 2)), answers).mean() == pytest.approx(0.5)
    assert np.isnan(auc_placements(np.zeros((3, 2)), np.ones((3, 2)))).all()


def test_the_interval_of_the_auc_is_that_of_a_bootstrap_over_episodes():
    rng = np.random.default_rng(3)
    scores, answers, weights = made_up(rng, 300)
    half_width = interval(auc_placements(scores, answers, weights)).half_width
    resampled = []
    for _ in range(1000):
        drawn = rng.integers(300, size=300)
        resampled.append(auc_placements(scores[drawn], answers[drawn], weights[drawn]).mean())
    assert half_width == pytest.approx(1.96 * np.std(resampled), rel=0.1)


def test_a_paired_difference_of_auc_is_that_of_a_bootstrap_over_episodes():
    rng = np.random.default_rng(4)
    scores, answers, weights = made_up(rng, 300)
    other = scores + 0.3 * rng.normal(size=scores.shape)
    both = [auc_placements(s, answers, weights) for s in (scores, other)]
    resampled = []
    for _ in range(1000):
        drawn = rng.integers(300, size=300)
        a, b = (
            auc_placements(s[drawn], answers[drawn], weights[drawn]).mean() for s in (scores, other)
        )
        resampled.append(a - b)
    assert paired_difference(*both).half_width == pytest.approx(1.96 * np.std(resampled), rel=0.1)


def test_the_share_of_the_way_by_hand():
    floor, ceiling = np.array([0.5, 0.6, 0.4]), np.array([0.9, 1.0, 0.8])
    assert share_of_way(floor, floor, ceiling) == pytest.approx([0, 0, 0], abs=1e-12)
    assert share_of_way(ceiling, floor, ceiling) == pytest.approx([1, 1, 1], abs=1e-12)
    assert share_of_way((floor + 3 * ceiling) / 4, floor, ceiling) == pytest.approx([0.75] * 3)
    assert share_of_way(floor - 0.1, floor, ceiling).mean() == pytest.approx(-0.25)


@pytest.mark.parametrize(
    ("floor", "ceiling"),
    [([0.5, 0.6, 0.4], [0.6, 0.5, 0.45]), ([0.5, 0.6], [0.5, 0.6]), ([0.5], [0.9])],
)
def test_no_share_where_the_gap_is_within_noise(floor, ceiling):
    assert np.isnan(share_of_way(floor, floor, ceiling)).all()


def test_the_interval_of_the_share_is_that_of_a_bootstrap_over_episodes():
    rng = np.random.default_rng(5)
    skill = rng.normal(size=(3, 400))
    floor, ceiling = 0.6 + 0.2 * skill[0], 0.8 + 0.2 * skill[1]
    values = 0.4 * floor + 0.6 * ceiling + 0.15 * skill[2]
    resampled = []
    for _ in range(1000):
        i = rng.integers(400, size=400)
        resampled.append((values - floor)[i].mean() / (ceiling - floor)[i].mean())
    found = interval(share_of_way(values, floor, ceiling))
    assert found.mean == pytest.approx(np.mean(resampled), abs=0.02)
    assert found.half_width == pytest.approx(1.96 * np.std(resampled), rel=0.1)
