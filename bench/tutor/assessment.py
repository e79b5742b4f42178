"""What each student masters, how sure that is, and which questions to ask or practise next."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import torch

from bench.algorithms.two_pl import TwoPL
from bench.base.errors import BenchError
from bench.learning.gradient_based import GradientBased
from bench.learning.learner import MetaLearner
from bench.tasks.episode import Episode
from bench.tutor import posterior
from bench.tutor.vocabulary import Vocabulary

DRAWS = 400  # of the posterior of each checkpoint
MOST_NUMBERS = 2**24  # computed at a time
MASTERED, UNDECIDED, NOT_MASTERED = "mastered", "undecided", "not mastered"


@dataclass(frozen=True)
class Settings:
    """What the tutor may choose.

    Attributes:
        target: questions whose chance of success lies between these are for practice.
        mastery: a skill is mastered when the mean chance of success over its questions is above
            this, and not mastered when below,
        certainty: each with at least this probability; undecided otherwise. Intervals leave out
            ``1 - certainty`` at each end, so that they lie wholly on one side when it is decided.
        questions: how many next questions to name.
    """

    target: tuple[float, float] = (0.6, 0.8)
    mastery: float = 0.8
    certainty: float = 0.9
    questions: int = 5

    def __post_init__(self):
        low, high = self.target
        if not 0 <= low < high <= 1:
            raise BenchError(
                f"--target {low:g} {high:g}: give two chances from 0 to 1, the lower one first"
            )
        if not 0 < self.mastery < 1:
            raise BenchError(f"--mastery {self.mastery:g}: give a chance between 0 and 1")
        if not 0.5 < self.certainty < 1:
            raise BenchError(f"--certainty {self.certainty:g}: give one between 0.5 and 1")
        if self.questions < 1:
            raise BenchError(f"--questions {self.questions}: give at least 1")


@dataclass(frozen=True)
class Student:
    """What is found about a student.

    Attributes:
        name: as in the file.
        answers: to known questions, in the file.
        used: how many of them, the latest, the prediction is made from; all where the file tells no
            order.
        right: how many of these were right.
        skills: a row for each skill: its name, answers and right ones among those used, the mean
            chance of success over its questions with the ends of its interval, the probability
            that it is above the mastery threshold, and the verdict. Where the model does not tell
            skills apart, one row for all questions, without a verdict.
        questions: a row for each question, likewise, but with all answers in the file; ``informs``
            is the share of the uncertainty about the other questions that its answer is expected to
            remove.
        ask: names of the most informative questions, the best first; none that was answered.
        practise: names of questions with a chance of success in the target zone, its middle first;
            none that was answered right.
        ability: of a model that knows students by one number: its mean and the ends of its
            interval, in standard deviations from the average student; None of other models.
    """

    name: str
    answers: int
    used: int
    right: int
    skills: list[dict[str, Any]]
    questions: list[dict[str, Any]]
    ask: list[str]
    practise: list[str]
    ability: dict[str, float] | None = None

    def verdicts(self, verdict: str) -> list[str]:
        """Names of the skills of which this is the verdict."""
        return [row["skill"] for row in self.skills if row["verdict"] == verdict]


class Answers(NamedTuple):
    """The answers of students to questions that a model knows.

    Attributes:
        students: names.
        item: of each student, ``[answers]`` numbers in the vocabulary, in the order of time.
        right: likewise, 0 or 1.
        notes: what was left out, in sentences.
        ordered: whether the order is that of time.
    """

    students: list[str]
    item: list[np.ndarray]
    right: list[np.ndarray]
    notes: list[str]
    ordered: bool = True


def assess(
    learners: Sequence[MetaLearner], words: Vocabulary, answers: Answers, settings: Settings
) -> Iterator[Student]:
    """Finds out about each student.

    Args:
        learners: of one vocabulary, as :func:`load` gives them.
        words: their vocabulary.
        answers: of the students.
        settings: of the tutor.

    Raises:
        BenchError: if a prediction is no number.
    """
    first_used = -words.shots if answers.ordered else 0
    used = [
        (item[first_used:], right[first_used:]) for item, right in zip(answers.item, answers.right)
    ]
    longest = max((len(item) for item, _ in used), default=0)
    per_student = len(words.items) * max(DRAWS * len(learners), longest * 8)
    at_once = max(MOST_NUMBERS // per_student, 1)
    for first in range(0, len(used), at_once):
        part = slice(first, first + at_once)
        tasks = episode(used[part], words)
        chances, draws = believed(learners, tasks, words.shots)
        if not np.isfinite(chances).all():
            raise BenchError("a checkpoint predicts what is no number: train it again")
        abilities = _abilities(learners, tasks, settings)
        for i, s in enumerate(range(len(used))[part]):
            yield _student(
                answers.students[s],
                (answers.item[s], answers.right[s]),
                used[s],
                chances[i],
                None if draws is None else draws[i],
                abilities[i],
                tells_skills_apart(learners, words),
                words,
                settings,
            )


def tells_skills_apart(learners: Sequence[MetaLearner], words: Vocabulary) -> bool:
    """Whether what is believed of a student can differ from skill to skill.

    With one ability it cannot: where skills differ, 80 % intervals would hold the truth of a skill
    in 30 to 60 % of cases (datasets/student/README.md has the figures).
    """
    return len(words.skills) > 1 and not any(posterior.abilities(v) in (0, 1) for v in learners)


def _abilities(
    learners: Sequence[MetaLearner], tasks: Episode, settings: Settings
) -> list[dict[str, float] | None]:
    """Of each student the ability, from Rasch and 2PL models; its unit is known of them alone."""
    if not all(isinstance(learner, TwoPL) for learner in learners):
        return [None] * len(tasks.query_y)
    found = [posterior.gaussian(learner, tasks) for learner in learners]
    with torch.no_grad():  # the more the better, also where a model has it the other way round
        sign = torch.stack([one.slopes.mean() for one in found]).sign()[:, None]
        mean = sign * torch.stack([learner.ability(tasks)[:, 0] for learner in learners])
    variance = torch.stack([one.covariance[:, 0, 0] for one in found]).mean(0)
    variance = variance + mean.var(0, correction=0)
    half = NormalDist().inv_cdf(settings.certainty) * variance.sqrt()
    ends = torch.stack([mean.mean(0), mean.mean(0) - half, mean.mean(0) + half], 1)
    names = ("mean", "low", "high")
    return [{n: round(v, 4) for n, v in zip(names, row)} for row in ends.tolist()]


def episode(answers: Iterable[tuple[np.ndarray, np.ndarray]], words: Vocabulary) -> Episode:
    """Students as tasks: what they answered, and every question asked next.

    Args:
        answers: of each student, the item numbers and the answers, in the order of time.
        words: names of the questions.

    Returns:
        ``support_x: [tasks, answers, columns]``, padded where others gave more, and
        ``query_x: [tasks, items, columns]``.
    """
    pairs = [[torch.from_numpy(np.array(v)) for v in pair] for pair in answers]
    lengths = torch.tensor([len(item) for item, _ in pairs])
    item, y = (torch.nn.utils.rnn.pad_sequence(v, batch_first=True) for v in zip(*pairs))
    at = torch.arange(item.shape[1])
    there = at < lengths[:, None]
    asked = torch.arange(len(words.items)).expand(len(pairs), -1)
    query = words.rows(asked, lengths[:, None].expand(asked.shape))
    support = words.rows(item, torch.where(there, at, -1))
    ones = torch.ones_like(query[..., 0])
    return Episode(support, y.to(query), query, 0 * ones, there.to(query), ones)


def believed(
    learners: Sequence[MetaLearner], episode: Episode, most: int | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The chance of a right answer to each question as the next one, and how unsure it is.

    Draws are taken from the posterior of every learner (:mod:`bench.tutor.posterior`), together
    those of a mixture; of learners without one, each learner's prediction is a draw.

    Args:
        learners: of one vocabulary.
        episode: students.
        most: how many answers the learners were trained to read. One that adapts by gradient steps
            goes too far on more, so all together count as so many then.

    Returns:
        ``[tasks, query]`` the learners' own predictions, the mean over them, and
        ``[tasks, draws, query]``; None for one learner that has no posterior.
    """
    tasks = [_as_trained(learner, episode, most) for learner in learners]
    if not all(map(posterior.has_ability, learners)):
        own = torch.stack([_alone(*pair) for pair in zip(learners, tasks)], 1)
        return own.mean(1).numpy(), own.numpy() if len(learners) > 1 else None
    parts = [posterior.draws([learner], own, DRAWS) for learner, own in zip(learners, tasks)]
    own = torch.stack([posterior.predicted(*pair) for pair in zip(learners, tasks)])
    return own.mean(0).numpy(), torch.cat(parts, 1).numpy()


def _as_trained(learner: MetaLearner, episode: Episode, most: int | None) -> Episode:
    """The students with no more weight on their answers than a learner is used to."""
    if most is None or not isinstance(learner, GradientBased):
        return episode
    weight = episode.support_w
    share = (most / weight.sum(1, keepdim=True).clamp_min(1)).clamp_max(1)
    return episode._replace(support_w=weight * share)


def _alone(learner: MetaLearner, episode: Episode) -> torch.Tensor:
    """Predictions ``[tasks, query]``, each question asked alone.

    To a learner that follows the order of time, one after the other would be so many attempts.
    """
    tasks, queries = episode.query_y.shape
    found = []
    for number in range(tasks):
        mine = [v[number : number + 1] for v in episode[:6]]
        support_x, support_y, query_x, query_y, support_w, query_w = mine
        shown = [v.expand(queries, *v.shape[1:]) for v in (support_x, support_y, support_w)]
        asked = [v.transpose(0, 1) for v in (query_x, query_y, query_w)]
        one = Episode(*shown[:2], *asked[:2], shown[2], asked[2])
        found.append(posterior.predicted(learner, one)[:, 0])
    return torch.stack(found)


def informs(draws: np.ndarray) -> np.ndarray:
    """What the answer to each question is expected to tell about the others, ``[query]``, 0 to 1.

    The share of the variance of their chances that it removes, by the formula of
    :func:`bench.tutor.selection.bayes`, without a table of question by question.

    Args:
        draws: ``[draws, query]`` chances of a right answer.
    """
    mean = draws.mean(0, dtype=np.float64)
    off = draws - mean
    variance = (off**2).mean(0)
    # sum_q cov(q, j)^2 = off_j' (off off') off_j / draws^2
    squared = (off * (off @ off.T @ off)).sum(0) / len(draws) ** 2 - variance**2
    others = variance.sum() - variance
    return squared / np.maximum(mean * (1 - mean), 1e-9) / np.maximum(others, 1e-30)


def _student(
    name: str,
    answers: tuple[np.ndarray, np.ndarray],
    used: tuple[np.ndarray, np.ndarray],
    chance: np.ndarray,
    draws: np.ndarray | None,
    ability: dict[str, float] | None,
    apart: bool,
    words: Vocabulary,
    settings: Settings,
) -> Student:
    """Puts together what is known of one student; arrays as elsewhere, without tasks."""
    needs = words.features[:, : len(words.skills)].numpy() > 0  # [items, skills]
    skills_of = [[words.skills[k] for k in np.flatnonzero(row)] for row in needs]
    skills = words.skills
    if not apart and len(skills) != 1:
        needs, skills = np.ones((len(chance), 1), bool), ["all questions"]
    weight = needs / np.maximum(needs.sum(0), 1)
    item, right = used
    met = np.bincount(item, minlength=len(chance))
    good = np.bincount(item, right, minlength=len(chance)).astype(int)
    # without a posterior, the answer that is least foreseen
    information = chance * (1 - chance) * 4 if draws is None else informs(draws)

    by_skill = _rows(chance @ weight, None if draws is None else draws @ weight, settings)
    skill_rows = [
        {"skill": skills[k], "questions": int(needs[:, k].sum())}
        | {"answers": int(met @ needs[:, k]), "right": int(good @ needs[:, k])}
        | row
        for k, row in enumerate(by_skill)
        if needs[:, k].any()
    ]
    if words.skills and skills != words.skills:
        skill_rows[0]["verdict"] = ""
    met = np.bincount(answers[0], minlength=len(chance))
    good = np.bincount(*answers, minlength=len(chance)).astype(int)
    # a question known by its skill alone stands for any of the skill, and can be asked again
    repeats = set(words.items) == set(words.skills)
    ask = np.flatnonzero((met == 0) | repeats)
    ask = ask[np.argsort(-information[ask], kind="stable")][: settings.questions]
    low, high = settings.target
    practise = np.flatnonzero((chance >= low) & (chance <= high) & ((good == 0) | repeats))
    middle = abs(chance[practise] - (low + high) / 2)
    practise = practise[np.argsort(middle, kind="stable")][: settings.questions]
    question_rows = []
    for i, row in enumerate(_rows(chance, draws, settings)):
        del row["verdict"], row["above"]
        own = {"question": words.items[i], "skills": skills_of[i]}
        own |= {"answers": int(met[i]), "right": int(good[i])}
        question_rows.append(own | row | {"informs": round(float(information[i]), 4)})
    return Student(
        name,
        len(answers[0]),
        len(item),
        int(right.sum()),
        skill_rows,
        question_rows,
        [words.items[i] for i in ask],
        [words.items[i] for i in practise],
        ability,
    )


def _rows(chance: np.ndarray, draws: np.ndarray | None, settings: Settings) -> list[dict]:
    """Chance, interval and verdict of each of several, ``[several]`` and ``[draws, several]``."""
    ends = above = [None] * len(chance)
    decided = np.stack([chance, chance])
    if draws is not None:
        c = settings.certainty
        decided = np.quantile(draws, [1 - c, c], axis=0)
        ends = [[round(float(v), 4) for v in pair] for pair in decided.T]
        above = (draws > settings.mastery).mean(0).round(4).tolist()
    rows = []
    for p, end, share, (low, high) in zip(chance, ends, above, decided.T):
        verdict = UNDECIDED
        if low > settings.mastery:
            verdict = MASTERED
        elif high < settings.mastery:
            verdict = NOT_MASTERED
        low, high = end or (None, None)
        rows.append({"chance": round(float(p), 4), "low": low, "high": high, "above": share})
        rows[-1]["verdict"] = verdict
    return rows
