"""Which skills made-up items need."""

import numpy as np

from bench.tasks import counter_random


def draw(u: np.ndarray, items: int, skills: int) -> np.ndarray:
    """Draws a Q-matrix: items of 1 to ``most`` skills, and each skill alone in some item.

    Without an item of its own for every skill, students who master different skills can be alike
    in all their answers (Chiu, Douglas and Li, Psychometrika 74, 2009: completeness).

    Args:
        u: ``[all items, 2 + 2 * most]`` uniforms; ``most`` is at most ``skills``.
        items: how many of the items training students meet: the first ones, among which each
            skill is found alone.
        skills: at most ``items``.

    Returns:
        ``[all items, skills]`` bool.
    """
    most = (u.shape[1] - 2) // 2
    wanted = (u[:, 0] * most).astype(np.int64) + 1
    picks = counter_random.choose(u[:, 2:], skills)
    q = np.zeros((len(u), skills), bool)
    for j in range(most):
        rows = np.flatnonzero(wanted > j)
        q[rows, picks[rows, j]] = True
    q[u[:items, 1].argsort()[:skills]] = np.eye(skills, dtype=bool)
    return q
