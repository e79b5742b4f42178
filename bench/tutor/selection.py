"""Which question to ask a student next: policies, and how well they serve to know the student.

The protocol is that of Ghosh and Lan, "BOBCAT: Bilevel Optimization-Based Computerized Adaptive
Testing", IJCAI 2021 (arXiv:2108.07386): of each student's questions 80 % may be asked,
and the other 20 % say how well the answers given so far predict the rest.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.base.errors import BenchError, nearest
from bench.data.students.episodes import StudentEpisodes
from bench.learning.learner import MetaLearner
from bench.tasks import counter_random
from bench.tasks.episode import Episode
from bench.tasks.objectives import OBJECTIVES
from bench.tasks.questions import POSITION
from bench.tasks.statistics import Interval, interval, paired_difference
from bench.tutor import posterior

BATCH = 256  # students at a time: a policy may need a matrix over each two of their questions
METRICS = ("auc", "accuracy")

# Policies ---------------------------------------------------------------------------------------
#
# Each maps learners and an episode, whose query holds all questions of a student and whose query_w
# says which may be asked, to ``[tasks, query]``: the largest of these is asked.


def random(learners: Sequence[MetaLearner], episode: Episode, seed: int = 0) -> Tensor:
    """Any question: one fixed random order for each student."""
    key = counter_random.stream("selection", "random", seed)
    u = counter_random.uniform(key, episode.index.numpy(), episode.query_y.shape[1])
    return torch.from_numpy(u)


def fisher(learners: Sequence[MetaLearner], episode: Episode, seed: int = 0) -> Tensor:
    """Most Fisher information on the ability: ``p (1 - p) a' C a``.

    C is the covariance of the posterior: the question that enlarges the determinant of its
    precision most (Segall, "Multidimensional adaptive testing", Psychometrika 61, 1996). With one
    dimension C is the same for all questions, which leaves Lord's rule of maximum information,
    ``a^2 p (1 - p)``.
    """
    logits, slopes, covariance = posterior.gaussian(learners[0], episode)
    p = logits.sigmoid()
    return p * (1 - p) * torch.einsum("tqd,tde,tqe->tq", slopes, covariance, slopes)


def bayes(learners: Sequence[MetaLearner], episode: Episode, seed: int = 0) -> Tensor:
    """Largest expected fall of the variance of the chances on the other questions, summed.

    What counts is to predict the other questions, so the fall is measured there, as in Cohn,
    Ghahramani and Jordan, "Active learning with statistical models" (JAIR 4, 1996), and not in the
    state of the student, of which some may bear on no question; it is van der Linden's minimum
    expected posterior variance (Psychometrika 63, 1998) taken through to predictions. An answer has
    two values, so the expectation over it needs no enumeration: knowing it explains
    ``cov(p_c, p_q)^2 / (E p_c (1 - E p_c))`` of the variance of ``p_q``.
    """
    p = posterior.draws(learners, episode, seed=seed)
    mean, may = p.mean(1), episode.query_w
    centred = p - mean[:, None]
    squared = (centred.mT @ centred / p.shape[1]) ** 2 * may[:, None]
    others = squared.sum(2) - squared.diagonal(dim1=1, dim2=2)
    return others / (mean * (1 - mean)).clamp_min(1e-12)


POLICIES: dict[str, Callable[..., Tensor]] = {"random": random, "fisher": fisher, "bayes": bayes}


def check(policies: Sequence[str], learners: Sequence[MetaLearner]) -> None:
    """Makes sure that learners can serve policies.

    Raises:
        BenchError: names the policy, and what it needs.
    """
    for name in policies:
        if name not in POLICIES:
            raise BenchError(f"unknown selection {name!r}: {nearest(name, POLICIES)}")
    if "fisher" in policies and (len(learners) > 1 or not posterior.has_ability(learners[0])):
        given = ", ".join(type(learner).__name__ for learner in learners)
        raise BenchError(
            f"fisher needs the item parameters of one bilevel_irt, rasch or two_pl, not {given}: "
            "use --selection random bayes"
        )
    if "bayes" in policies and len(learners) == 1:
        posterior.require_ability(learners[0])


# The protocol -----------------------------------------------------------------------------------


class Division(NamedTuple):
    """The students that are asked, and which of their questions are for what.

    Attributes:
        students: ``[students]`` numbers in the test split.
        left_out: how many have too few questions.
        selectable: ``[students, length]`` bool, questions that may be asked.
        meta: ``[students, length]`` bool, questions that are predicted.
    """

    students: np.ndarray
    left_out: int
    selectable: np.ndarray
    meta: np.ndarray


class Asked(NamedTuple):
    """What came of asking.

    Attributes:
        order: ``[students, questions]`` the places of the questions asked, the first first.
        values: for ``"auc"`` and ``"accuracy"`` ``[counts, students]``, whose mean over students is
            the metric pooled over all meta questions.
    """

    order: np.ndarray
    values: dict[str, np.ndarray]


def divide(data: StudentEpisodes, questions: int, most: int | None = None, seed: int = 0):
    """Divides the questions of each test student at random, 80 % selectable and 20 % meta.

    Args:
        data: students.
        questions: how many are to be asked: who has fewer to ask is left out.
        most: how many students, at most.
        seed: which division.

    Returns:
        The :class:`Division`.

    Raises:
        BenchError: if no student has questions enough.
    """
    lengths = data.lengths("test")[: data.hparams["test_episodes"]][:most]
    enough = lengths * 4 // 5 >= questions
    if not enough.any():
        raise BenchError(
            f"no test student has {questions} questions to ask and others to predict (the longest "
            f"has {lengths.max()} in all, 80 % of which may be asked): ask fewer with --questions"
        )
    students = np.flatnonzero(enough)
    key = counter_random.stream("selection", "division", seed)
    lengths = lengths[students, None]
    u = counter_random.uniform(key, students, int(lengths.max()))
    there = np.arange(u.shape[1]) < lengths
    rank = np.where(there, u, 2).argsort(1).argsort(1)
    selectable = there & (rank < lengths * 4 // 5)
    return Division(students, int((~enough).sum()), selectable, there & ~selectable)


def ask(
    learners: Sequence[MetaLearner],
    data: StudentEpisodes,
    division: Division,
    policy: str,
    counts: Sequence[int],
    seed: int = 0,
) -> Asked:
    """Asks each student one question after the other, adapting again after each answer.

    Args:
        learners: one, or an ensemble whose predictions are averaged.
        data: students.
        division: what may be asked, and what is predicted.
        policy: a key of :data:`POLICIES`.
        counts: after how many questions to predict, rising.
        seed: of the policy's random numbers, ties included.
    """
    orders, predictions, answers = [], [], []
    key = counter_random.stream("selection", "ties", seed)
    for start in range(0, len(division.students), BATCH):
        part = slice(start, start + BATCH)
        students = division.students[part]
        x, y, there = (v[:, : division.meta.shape[1]] for v in data.questions("test", students))
        dialogue = _Dialogue(x, y, there, torch.from_numpy(students), counts[-1])
        may = torch.from_numpy(division.selectable[part]).clone()
        # Questions that score alike, such as those on one skill, in random order: the first in the
        # order of time would be answered worse than what is predicted, before anything is learned.
        u = counter_random.uniform(key, students, may.shape[1])
        order = torch.from_numpy(u.argsort(1))
        at = []
        for n in range(1, counts[-1] + 1):
            score = POLICIES[policy](learners, dialogue.episode(may), seed)
            score = score.masked_fill(~may, -torch.inf).gather(1, order)
            choice = order.gather(1, score.argmax(1, keepdim=True))
            may.scatter_(1, choice, False)
            dialogue.answer(choice)
            if n in counts:
                episode = dialogue.episode(there)
                each = [posterior.predicted(learner, episode) for learner in learners]
                at.append(torch.stack(each).mean(0).numpy())
        orders.append(dialogue.order.numpy())
        predictions.append(np.stack(at))
        answers.append(y.numpy())
    predictions, answers = np.concatenate(predictions, 1), np.concatenate(answers)
    values = [_values(p, answers, division.meta) for p in predictions]
    return Asked(np.concatenate(orders), {m: np.stack([v[m] for v in values]) for m in METRICS})


class _Dialogue:
    """The questions of students, and which of them were answered so far.

    Support rows that are yet to come are padding of weight 0, as in the episodes that learners are
    trained on: the shapes stay the same from the first question to the last.
    """

    def __init__(self, x: Tensor, y: Tensor, there: Tensor, index: Tensor, questions: int):
        self.x, self.y, self.index = x, y, index
        self.open = there.clone()
        self.order = torch.zeros(len(x), 0, dtype=torch.long)
        self.support_x = x.new_zeros(len(x), questions, x.shape[2])
        self.support_x[..., POSITION] = -1
        self.support_y, self.support_w = y.new_zeros(2, len(x), questions)

    def answer(self, choice: Tensor) -> None:
        """Reveals one more answer of each student, ``[students, 1]`` places."""
        n = self.order.shape[1]
        students = torch.arange(len(choice))
        self.support_x[:, n] = self.x[students, choice[:, 0]]
        self.support_y[:, n] = self.y[students, choice[:, 0]]
        self.support_w[:, n] = 1
        self.open.scatter_(1, choice, False)
        self.order = torch.cat([self.order, choice], 1)

    def episode(self, wanted: Tensor) -> Episode:
        """All questions as query; those wanted count, unless they are answered already."""
        weight = (wanted & self.open).to(self.y.dtype)
        hidden = torch.zeros_like(self.y)  # no policy and no learner can read what is not revealed
        support = self.support_x, self.support_y
        return Episode(*support, self.x, hidden, self.support_w, weight, self.index)


def _values(p: np.ndarray, answers: np.ndarray, meta: np.ndarray) -> dict[str, np.ndarray]:
    """One value per student whose mean is the metric pooled over the meta questions."""
    objective = OBJECTIVES["answers"]
    rows = {"probability": p, "answer": answers, "weight": meta}
    right, count = (((p > 0.5) == (answers > 0.5)) & meta).sum(1), meta.sum(1)
    accuracy = right.sum() / count.sum()
    return {
        "auc": objective.metrics(rows)["auc"],
        "accuracy": accuracy + (right - accuracy * count) * len(count) / count.sum(),
    }


# Figures ----------------------------------------------------------------------------------------


def curves(asked: Asked, random: Asked | None) -> dict[str, list[dict[str, Interval]]]:
    """Each metric after each number of questions, and how far it is ahead of random selection."""
    found = {}
    for metric, rows in asked.values.items():
        found[metric] = [{"value": interval(row)} for row in rows]
        for one, row, other in zip(found[metric], rows, random.values[metric] if random else []):
            one["ahead"] = paired_difference(row, other)
    return found


def exposure(item: np.ndarray, items: int) -> dict[str, float]:
    """How evenly a policy uses the items.

    Args:
        item: ``[students, questions]`` the items asked.
        items: how many there are to ask.

    Returns:
        ``max``: the largest share of students that an item is asked of. ``chi_square``: the sum
        over items of ``(share - mean share)^2 / mean share``, 0 if all are used alike (Chang and
        Ying, Applied Psychological Measurement 23, 1999). ``overlap``: share of questions that two
        students have in common, in the mean over each two.
    """
    students, questions = item.shape
    met = np.zeros((students, item.max() + 1), bool)
    np.put_along_axis(met, item, True, 1)
    count = met.sum(0)
    share, mean = count / students, count.sum() / students / items
    unused = items - (count > 0).sum()
    chi_square = (((share[count > 0] - mean) ** 2).sum() + unused * mean**2) / mean
    pairs = max(students * (students - 1), 1)
    overlap = (count * (count - 1)).sum() / pairs / questions
    return {"max": share.max(), "chi_square": chi_square, "overlap": overlap}
