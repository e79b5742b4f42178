"""Which question to ask a student next: policies, and how well they serve to know the student.

The protocol is that of Ghosh and Lan, "BOBCAT: Bilevel Optimization-Based Computerized Adaptive
Testing", IJCAI 2021 (arXiv:2108.07386): of each student's questions 80 % may be asked,
and the other 20 % say how well the answers given so far predict the rest.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.base.errors import BenchError
from bench.data.students.episodes import StudentEpisodes
from bench.learning.learner import MetaLearner
from bench.learning.student_learner import skills_of
from bench.tasks import counter_random
from bench.tasks.episode import Episode
from bench.tasks.objectives import OBJECTIVES
from bench.tasks.questions import POSITION
from bench.tasks.statistics import Interval, interval, paired_difference
from bench.tutor import belief, posterior
from bench.tutor.judgement import Settings, judged, sure_enough
from bench.tutor.policies import POLICIES, ranked

BATCH = 256  # students at a time: a policy may need a matrix over each two of their questions
METRICS = ("auc", "accuracy")

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
        sure: ``[students]`` after how many questions a student was known well enough; 0: never.
            None where that was not asked for.
        stopped: like ``values``, ``[students]``, where asking stops then, or after the last.
    """

    order: np.ndarray
    values: dict[str, np.ndarray]
    sure: np.ndarray | None = None
    stopped: dict[str, np.ndarray] | None = None


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
    randomesque: int = 1,
    until: Settings | None = None,
) -> Asked:
    """Asks each student one question after the other, adapting again after each answer.

    Args:
        learners: one, or an ensemble whose predictions are averaged.
        data: students.
        division: what may be asked, and what is predicted.
        policy: a key of :data:`bench.tutor.policies.POLICIES`.
        counts: after how many questions to predict, rising.
        seed: of the policy's random numbers, ties included.
        randomesque: so many of the best questions are chosen from at random.
        until: when a student is known well enough to stop; None: not looked for.
    """
    orders, predictions, answers, sure, last = [], [], [], [], []
    for start in range(0, len(division.students), BATCH):
        part = slice(start, start + BATCH)
        students = division.students[part]
        x, y, there = (v[:, : division.meta.shape[1]] for v in data.questions("test", students))
        dialogue = _Dialogue(x, y, there, torch.from_numpy(students), counts[-1])
        selectable = torch.from_numpy(division.selectable[part])
        may = selectable.clone()
        at, known, at_end = [], np.zeros(len(x), int), np.zeros(y.shape)
        for n in range(1, counts[-1] + 1):
            score = POLICIES[policy](learners, dialogue.episode(may), seed)
            score = score.masked_fill(~may, -torch.inf)
            choice = ranked(score, dialogue.index, n - 1, randomesque, seed)[:, :1]
            may.scatter_(1, choice, False)
            dialogue.answer(choice)
            if n not in counts and until is None:
                continue
            episode = dialogue.episode(there)
            each = [posterior.predicted(learner, episode) for learner in learners]
            predicted = torch.stack(each).mean(0).numpy()
            if n in counts:
                at.append(predicted)
            if until is not None:
                asking = known == 0
                at_end[asking] = predicted[asking]
                enough = _known(learners, episode, selectable, until)
                known[asking & enough] = n
        sure.append(known)
        last.append(at_end)
        orders.append(dialogue.order.numpy())
        predictions.append(np.stack(at))
        answers.append(y.numpy())
    predictions, answers = np.concatenate(predictions, 1), np.concatenate(answers)
    values = [_values(p, answers, division.meta) for p in predictions]
    values = {m: np.stack([v[m] for v in values]) for m in METRICS}
    if until is None:
        return Asked(np.concatenate(orders), values)
    stopped = _values(np.concatenate(last), answers, division.meta)
    return Asked(np.concatenate(orders), values, np.concatenate(sure), stopped)


def _known(
    learners: Sequence[MetaLearner], episode: Episode, selectable: Tensor, until: Settings
) -> np.ndarray:
    """Whether each student's skills are known well enough, ``[students]`` bool.

    A skill is judged by the mean chance over the student's selectable questions that need it.
    """
    draws = posterior.draws(learners, episode).numpy()  # [students, draws, query]
    needs, asked = (skills_of(x, learners[0].spec) for x in (episode.query_x, episode.support_x))
    if not belief.tells_skills_apart(learners):
        needs, asked = (torch.ones_like(v[..., :1]) for v in (needs, asked))
    needs = (needs * selectable[..., None]).numpy()
    answers = (asked * episode.support_w[..., None]).sum(1).numpy()
    enough = []
    for drawn, own, count in zip(draws, needs, answers):
        there = own.any(0)
        questions = own[:, there].sum(0)
        chances = drawn @ (own[:, there] / questions)
        found = judged(chances.mean(0), chances, until)
        for row, n, m in zip(found, questions, count[there]):
            row |= {"questions": n, "answers": m}
        enough.append(sure_enough(found, until))
    return np.array(enough)


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
