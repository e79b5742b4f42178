"""Intervals over episodes, paired differences, and AUC that can be paired."""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit


class Interval(NamedTuple):
    """A mean and the half-width of its 95 % interval."""

    mean: float
    half_width: float

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval."""
        return abs(self.mean) > self.half_width


def interval(values) -> Interval:
    """Mean over episodes, or over runs, and its 95 % interval (Student t, n - 1 degrees).

    Of many episodes it is the field's 1.96 standard errors; of few it is wider. NaN as half-width
    where there is one value only.

    >>> mean, half_width = interval([0.0, 1.0, 1.0, 0.0])
    >>> f"{mean} +- {half_width:.4f}"
    '0.5 +- 0.9187'
    """
    values = np.asarray(values, float)
    n = len(values)
    if n < 2:
        return Interval(float(values.mean()), float("nan"))
    standard_error = values.std(ddof=1) / n**0.5
    return Interval(float(values.mean()), float(stdtrit(n - 1, 0.975) * standard_error))


def paired_difference(a, b) -> Interval:
    """Mean of ``a - b`` over episodes, with the interval of the differences themselves.

    Far narrower than two separate intervals, because the difficulty of an episode cancels.

    Args:
        a: ``[episodes]``, values of one algorithm.
        b: ``[episodes]``, values of the other on the same episodes in the same order.
    """
    return interval(np.asarray(a, float) - np.asarray(b, float))


def interval_over_runs(values) -> Interval:
    """Mean over runs and episodes, with an interval that holds for other runs and other episodes.

    Each run adds something of its own to all episodes, and each episode something to all runs; an
    interval over the one or the other alone leaves half of it out. The two parts of the variance of
    the mean come from the mean squares of the two-way layout without replication, and the interval
    is the root of the sum of the squares of what each part has by itself (Howe, Journal of the
    American Statistical Association 69, 1974). With three runs it holds the truth in 94 to 99 % of
    simulated cases, where Satterthwaite's degrees of freedom give 93 %, and now and then nonsense.
    Three runs whose means lie close by chance say too little of the runs; the interval is never
    narrower than that over the episodes alone.

    Args:
        values: ``[runs, episodes]``, three runs or more, all on the same episodes.

    >>> mean, half_width = interval_over_runs([[0.0, 1.0], [0.5, 1.5], [1.0, 2.0]])
    >>> f"{mean} +- {half_width:.2f}"
    '1.0 +- 6.47'
    """
    values = np.asarray(values, float)
    runs, episodes = values.shape
    by_run, by_episode = values.mean(1), values.mean(0)
    of_runs = interval(by_run)
    if episodes < 2:
        return of_runs
    rest = values - by_run[:, None] - by_episode + values.mean()
    shared = (rest**2).sum() / ((runs - 1) * (episodes - 1)) / values.size  # in both variances
    of_episodes = max(by_episode.var(ddof=1) / episodes - shared, 0.0)
    half_widths = of_runs.half_width, stdtrit(episodes - 1, 0.975) * of_episodes**0.5
    least = interval(by_episode).half_width
    return Interval(of_runs.mean, float(np.maximum(np.hypot(*half_widths), least)))


def interval_over_folds(values, folds: int) -> Interval:
    """Mean over folds of a cross-validation, and its 95 % interval.

    Wider than Student's, as the folds' training data overlap: of ``n`` values the variance is that
    of one times 1 / n + 1 / (folds - 1), the second part being how many are tested for each that
    is trained on (Nadeau and Bengio, Machine Learning 52, 2003, section 4).

    Args:
        values: of each fold that was run.
        folds: into how many the data was divided.

    >>> each = [1.0, 2.0, 3.0, 4.0, 5.0]
    >>> round(interval_over_folds(each, 5).half_width / interval(each).half_width, 9)
    1.5
    """
    found = interval(values)
    wider = (1 + len(values) / (folds - 1)) ** 0.5
    return Interval(found.mean, found.half_width * wider)


def share_of_way(values, floor, ceiling) -> np.ndarray:
    """How far a method gets from the floor to the ceiling: 0 is the floor, 1 the ceiling.

    The ratio of two paired differences, linearised (delta method): one value an episode, whose mean
    is the ratio, so that it has an interval and can be averaged over runs as any metric.

    Args:
        values: ``[episodes]``, of the method.
        floor: ``[episodes]``, of the floor on the same episodes.
        ceiling: ``[episodes]``, of the ceiling on the same episodes.

    Returns:
        ``[episodes]``; NaN throughout where the gap between floor and ceiling is within noise.
    """
    values, floor, ceiling = (np.asarray(v, float) for v in (values, floor, ceiling))
    gap = interval(ceiling - floor)
    if not gap.excludes_zero:
        return np.full(len(values), np.nan)
    share = (values - floor).mean() / gap.mean
    return share + ((values - floor) - share * (ceiling - floor)) / gap.mean


def auc_placements(scores, answers, weights=None) -> np.ndarray:
    """One value per episode whose mean is exactly the AUC pooled over all answers.

    A single student's few answers have no useful AUC, so it is pooled; to give it an interval and
    to pair it, each episode gets ``AUC + n/P * sum over its positives (F_neg(s) - AUC) + n/N * sum
    over its negatives (1 - F_pos(s) - AUC)``: its contribution to the two-sample placement values
    (DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988), clustered by episode. F is the share
    of the other class scored below, ties counting half; P and N are the positives and negatives
    in all, n the number of episodes.

    Scores are told apart as far as single precision tells them: what the rounding of double
    precision makes of equal scores, which depends on how episodes are batched, orders nothing.

    Args:
        scores: ``[episodes, answers]``, higher means more likely right.
        answers: ``[episodes, answers]``, 0 or 1.
        weights: ``[episodes, answers]``, 0 leaves an answer out; None: all count.

    Returns:
        ``[episodes]`` float64; NaN throughout if all answers are alike.
    """
    scores, answers = np.asarray(scores, np.float32), np.asarray(answers)
    used = np.ones(answers.shape, bool) if weights is None else np.asarray(weights) > 0
    positive, negative = used & (answers > 0.5), used & (answers <= 0.5)
    above, below = np.sort(scores[positive]), np.sort(scores[negative])
    if not len(above) or not len(below):
        return np.full(len(scores), np.nan)

    def share_below(reference, values):
        left = np.searchsorted(reference, values, "left")
        right = np.searchsorted(reference, values, "right")
        return (left + right) / (2 * len(reference))

    wins = share_below(below, scores)  # of a positive over the negatives
    losses = 1 - share_below(above, scores)  # of a negative under the positives
    auc = wins[positive].mean()
    episodes = len(scores)
    return (
        auc
        + episodes / len(above) * np.where(positive, wins - auc, 0).sum(1)
        + episodes / len(below) * np.where(negative, losses - auc, 0).sum(1)
    )
