"""Skills that are mastered or not and change with practice: drawing students, exact inference."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.sparse.csgraph import connected_components

from bench.base.errors import BenchError

MOST_COUPLED = 8  # skills whose 2^8 states of mastery are followed together


class Dynamics(NamedTuple):
    """The numbers of Bayesian knowledge tracing, ``[..., skills]`` each.

    Corbett and Anderson, "Knowledge tracing: modeling the acquisition of procedural knowledge",
    User Modeling and User-Adapted Interaction 4, 1995; there, nothing is forgotten.

    Attributes:
        prior: probability that the skill is mastered before the first question.
        learn: probability that an attempt at a question of the skill leads to mastery.
        forget: probability that it is lost instead.
        guess: probability of a right answer without mastery.
        slip: probability of a wrong answer with it.
    """

    prior: np.ndarray
    learn: np.ndarray
    forget: np.ndarray
    guess: np.ndarray
    slip: np.ndarray


def check_ranges(ranges: Mapping, of: str = "") -> None:
    """Refuses what are not ranges of the five probabilities.

    Guess and slip stay below one half, else right answers would speak against mastery.

    Args:
        ranges: ``(least, greatest)`` of each field of :class:`Dynamics`.
        of: whose they are, for the message.

    Raises:
        BenchError: names the field.
    """
    for field in Dynamics._fields:
        most = 0.5 if field in ("guess", "slip") else 1
        try:
            low, high = ranges[field]
            sound = 0 <= low <= high <= most
        except (TypeError, ValueError):  # no pair, or not of numbers
            sound = False
        if not sound:
            raise BenchError(
                f"{of}{field}={ranges[field]!r}: give the least and the greatest value, both from "
                f"0 to {most}"
            )


def needed(u_first: np.ndarray, u_more: np.ndarray, most: int) -> np.ndarray:
    """Which skills each item needs: every skill comes first in as many items as any other.

    Args:
        u_first: ``[at least items / skills, skills]`` uniforms: each row an order of the skills.
        u_more: ``[items, 1 + skills]`` uniforms: how many skills an item needs, from 1 to
            ``most``, and which ones besides the first.
        most: most skills that an item needs.

    Returns:
        ``[items, skills]`` bool.
    """
    rank = u_more[:, 1:].copy()
    rank[np.arange(len(rank)), u_first.argsort(1).ravel()[: len(rank)]] = -1
    return rank.argsort(1).argsort(1) < 1 + (u_more[:, :1] * most).astype(int)


def coupled(needs: np.ndarray) -> list[np.ndarray]:
    """The skills in groups: those of one question, of one that shares a skill with it, and so on.

    Args:
        needs: ``[..., skills]`` bool.

    Returns:
        For each group the numbers of its skills.

    Raises:
        BenchError: if a group is too large for its states to be counted through.
    """
    flat = needs.reshape(-1, needs.shape[-1]).astype(np.float32)
    count, group = connected_components(flat.T @ flat > 0, directed=False)
    groups = [np.flatnonzero(group == g) for g in range(count)]
    largest = max(map(len, groups))
    if largest > MOST_COUPLED:
        raise BenchError(
            f"{largest} skills are coupled by questions that need several: at most {MOST_COUPLED} "
            "can be; use fewer skills, or skills_per_item=1"
        )
    return groups


def draw(
    dynamics: Dynamics,
    needs: np.ndarray,
    u_start: np.ndarray,
    u_change: np.ndarray,
    u_answer: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws students who answer and learn.

    A question is known if all its skills are mastered. Then each of these may be learned or
    forgotten, and no other. Where a question needs several skills, guess and slip are their means.

    Args:
        dynamics: ``[students, skills]`` each, or one row for all.
        needs: ``[students, length, skills]`` bool, what each question asks for.
        u_start: ``[students, skills]`` uniforms.
        u_change: ``[students, length, most skills of a question]`` uniforms.
        u_answer: ``[students, length]`` uniforms.

    Returns:
        The answers ``[students, length]`` bool, and ``[students, skills]`` bool: what is mastered
        after the last.
    """
    mastered = u_start < dynamics.prior
    answer = np.empty(needs.shape[:2], bool)
    for t in range(needs.shape[1]):
        asked = needs[:, t]
        known = (mastered | ~asked).all(1)
        guess, slip = (_mean(v, asked) for v in (dynamics.guess, dynamics.slip))
        answer[:, t] = u_answer[:, t] < np.where(known, 1 - slip, guess)
        place = np.maximum(asked.cumsum(1) - 1, 0)
        u = np.take_along_axis(u_change[:, t], place, 1)
        mastered ^= asked & (u < np.where(mastered, dynamics.forget, dynamics.learn))
    return answer, mastered


def predict(
    dynamics: Dynamics, needs: np.ndarray, answer: np.ndarray, support: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The exact probability of right answers, given the support answers before and after.

    Skills that no question couples are independent, given any answers.

    Args:
        dynamics: ``[skills]`` each.
        needs: ``[students, length, skills]`` bool in the order of time; no skill: no question.
        answer: ``[students, length]`` bool; read where ``support`` is true alone.
        support: ``[students, length]`` bool.

    Returns:
        ``[students, length]`` probabilities (of a support answer: given the others), and
        ``[students]`` the log-probability of the support answers.
    """
    right, evidence = np.full(answer.shape, 0.5), np.zeros(len(answer))
    for group in coupled(needs):
        asked = needs[..., group]
        there = asked.any(2)
        part = Dynamics(*(v[group] for v in dynamics))
        p, log = _chain(part, asked, answer, support & there)
        right = np.where(there, p, right)
        evidence += log
    return right, evidence


def _chain(dynamics, needs, answer, support):
    """Forward-backward (Rabiner 1989, eqs. 19 to 27) over the 2^k states of k coupled skills."""
    students, length, k = needs.shape
    bits = (np.arange(2**k)[:, None] >> np.arange(k) & 1).astype(bool)  # states, skills
    needs = needs.transpose(1, 2, 0)  # students last, where the arithmetic is quickest
    guess, slip = (_mean(v[:, None], needs) for v in (dynamics.guess, dynamics.slip))

    def right(t):
        known = (~bits).astype(np.float32) @ needs[t].astype(np.float32) == 0
        return np.where(known, 1 - slip[t], guess[t])

    def likelihood(t, p):
        return np.where(support[:, t], np.where(answer[:, t], p, 1 - p), 1.0)

    def pairs(state):
        """Views of the states ``[.., ..., students]`` that lack and that have each skill."""
        for skill in range(k):
            split = state.reshape(-1, 2, 2**skill, students)
            yield skill, split[:, 0], split[:, 1]

    before = np.empty((length, 2**k, students))
    state = np.tile(np.where(bits, dynamics.prior, 1 - dynamics.prior).prod(1)[:, None], students)
    evidence = np.zeros(students)
    for t in range(length):
        before[t] = state
        state = state * likelihood(t, right(t))
        total = state.sum(0)
        with np.errstate(divide="ignore"):  # minus infinity: these answers are impossible
            evidence += np.log(total)
        state /= np.where(total > 0, total, 1)
        for skill, lacks, has in pairs(state):
            moved = needs[t, skill] * (lacks * dynamics.learn[skill] - has * dynamics.forget[skill])
            lacks -= moved
            has += moved
    p, later = np.empty((students, length)), np.ones((2**k, students))
    for t in reversed(range(length)):
        for skill, lacks, has in pairs(later):
            gain = has - lacks
            lacks += needs[t, skill] * dynamics.learn[skill] * gain
            has -= needs[t, skill] * dynamics.forget[skill] * gain
        posterior, now = before[t] * later, right(t)
        mass = posterior.sum(0)
        p[:, t] = (posterior * now).sum(0) / np.where(mass > 0, mass, 1)
        later *= likelihood(t, now)
        most = later.max(0)
        later /= np.where(most > 0, most, 1)
    return p, evidence


def _mean(value, needs):
    """Mean along axis 1, over the skills needed; 0 where there is none."""
    return np.where(needs, value, 0).sum(1) / np.maximum(needs.sum(1), 1)
