from itertools import product

import numpy as np
import pytest


@pytest.fixture
def all_paths():
    """Counts through every path of mastery and every answer not shown: slow, but no algorithm.

    ``all_paths(dynamics, needs, answer, support)`` for one student gives the probability of the
    support answers, and ``[length]`` those of the same with each answer right.
    """

    def walk(dynamics, needs, answer, support, mastered, t):
        """Probabilities from question t on: of the support, and of each answer right with it."""
        if t == len(needs):
            return 1.0, np.zeros(t)
        asked = np.flatnonzero(needs[t])
        guess, slip = dynamics.guess[asked].mean(), dynamics.slip[asked].mean()
        right = 1 - slip if all(mastered[s] for s in asked) else guess
        total, each = 0.0, np.zeros(len(needs))
        for after in product([0, 1], repeat=len(asked)):
            change, state = 1.0, list(mastered)
            for skill, new in zip(asked, after):
                up = 1 - dynamics.forget[skill] if mastered[skill] else dynamics.learn[skill]
                change *= up if new else 1 - up
                state[skill] = new
            if change == 0:
                continue
            rest, rest_each = walk(dynamics, needs, answer, support, state, t + 1)
            for said, p in ((True, right), (False, 1 - right)):
                if support[t] and said != answer[t]:
                    continue
                total += change * p * rest
                each += change * p * rest_each
                each[t] += change * p * rest * said
        return total, each

    def count(dynamics, needs, answer, support):
        total, each = 0.0, np.zeros(len(needs))
        for start in product([0, 1], repeat=needs.shape[1]):
            prior = np.where(start, dynamics.prior, 1 - dynamics.prior).prod()
            part, part_each = walk(dynamics, needs, answer, support, start, 0)
            total, each = total + prior * part, each + prior * part_each
        return total, each

    return count
