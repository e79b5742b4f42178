"""Which skills made-up items need."""

import numpy as np

from bench.data.students.synthetic import SyntheticStudents
from bench.tasks import counter_random


def draw(data: SyntheticStudents, skills: int) -> np.ndarray:
    """Draws a Q-matrix: 1 to ``skills_per_item`` skills an item, each skill alone in some item.

    Without an item of its own for every skill, students who master different skills can be alike
    in all their answers (Chiu, Douglas and Li, Psychometrika 74, 2009: completeness).

    Args:
        data: has the argument ``skills_per_item``. The items that each skill is found alone in are
            among those that training students meet: the first ones.
        skills: at most as many as these.

    Returns:
        ``[all items, skills]`` bool.
    """
    most = min(data.hparams["skills_per_item"], skills)
    u = data.draws("items", np.arange(data.all_items), 2 + 2 * most, "skills")
    wanted = (u[:, 0] * most).astype(np.int64) + 1
    picks = counter_random.choose(u[:, 2:], skills)
    q = np.zeros((len(u), skills), bool)
    for j in range(most):
        rows = np.flatnonzero(wanted > j)
        q[rows, picks[rows, j]] = True
    q[u[: data.items, 1].argsort()[:skills]] = np.eye(skills, dtype=bool)
    return q
