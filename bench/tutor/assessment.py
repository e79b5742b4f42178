"""What each student masters, how sure that is, and which questions to ask or practise next."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import expit, logit

from bench.algorithms.two_pl import TwoPL
from bench.base.errors import BenchError
from bench.learning.learner import MetaLearner
from bench.tasks.episode import Episode
from bench.tutor import posterior
from bench.tutor.belief import DRAWS, believed, episode, informs, tells_skills_apart
from bench.tutor.judgement import (
    Settings,
    judged,
    needs_of,
    repeats,
    skill_rows,
    to_practise,
    told,
)
from bench.tutor.vocabulary import Vocabulary

MOST_NUMBERS = 2**24  # computed at a time
CLASS_DRAWS = 100  # of each student, from which it is told what questions tell of a class


@dataclass(frozen=True)
class Student:
    """What is found about a student.

    Attributes:
        name: as in the file.
        answers: to known questions, in the file.
        used: how many of them, the latest, the prediction is made from.
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

    def as_told(self) -> "Student":
        """The same for people: of skills that were never asked for there is no verdict."""
        return replace(self, skills=told(self.skills))


class Standing(NamedTuple):
    """What is found about a student of whom no question is looked at: enough for a class.

    Attributes:
        name: as in the file.
        skills: as those of a :class:`Student`, as people are told of them.
        informs: ``[items]`` float32, what the answer to each question is expected to tell.
    """

    name: str
    skills: list[dict[str, Any]]
    informs: np.ndarray


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
    learners: Sequence[MetaLearner],
    words: Vocabulary,
    answers: Answers,
    settings: Settings,
    temperature: float = 1.0,
) -> Iterator[Student]:
    """Finds out about each student.

    Args:
        learners: of one vocabulary, as :func:`load` gives them.
        words: their vocabulary.
        answers: of the students.
        settings: of the tutor.
        temperature: what the log-odds of all chances are divided by.

    Raises:
        BenchError: if a prediction is no number, or the latest answers are asked for where no order
            is known.
    """
    used = _used(answers, settings)
    for part, tasks, chances, draws in _in_parts(learners, words, used):
        abilities = _abilities(learners, tasks, settings)
        for i, s in enumerate(part):
            yield _student(
                answers.students[s],
                (answers.item[s], answers.right[s]),
                used[s],
                _divided(chances[i], temperature),
                None if draws[i] is None else _divided(draws[i], temperature),
                abilities[i],
                tells_skills_apart(learners),
                words,
                settings,
            )


def stand(
    learners: Sequence[MetaLearner], words: Vocabulary, answers: Answers, settings: Settings
) -> Iterator[Standing]:
    """How each student stands: a fraction of the time and memory of :func:`assess`, and as there.

    The skills are the same; what questions tell is from fewer draws.
    """
    used, apart = _used(answers, settings), tells_skills_apart(learners)
    for part, _, chances, draws in _in_parts(learners, words, used):
        for s, chance, drawn in zip(part, chances, draws):
            rows = skill_rows(used[s], chance, drawn, apart, words, settings)
            few = None if drawn is None else drawn[:: -(-len(drawn) // CLASS_DRAWS)]
            yield Standing(
                answers.students[s], told(rows), _information(chance, few).astype(np.float32)
            )


def _divided(chances: np.ndarray, temperature: float) -> np.ndarray:
    """Chances with log-odds divided by a temperature."""
    return chances if temperature == 1 else expit(logit(chances) / temperature)


def _used(answers: Answers, settings: Settings) -> list[tuple[np.ndarray, np.ndarray]]:
    """Questions and answers of each student that the predictions are made from.

    Raises:
        BenchError: if the latest are asked for where no order is known.
    """
    if settings.latest is not None and not answers.ordered:
        raise BenchError(
            f"--latest {settings.latest}: the file tells no order of time: add a column order_id "
            "or timestamp, or leave it out"
        )
    first = -settings.latest if settings.latest else 0
    return [(item[first:], right[first:]) for item, right in zip(answers.item, answers.right)]


def _in_parts(
    learners: Sequence[MetaLearner],
    words: Vocabulary,
    used: list[tuple[np.ndarray, np.ndarray]],
) -> Iterator[tuple[range, Episode, np.ndarray, Sequence[np.ndarray | None]]]:
    """So many students together as memory allows: which, their tasks, their chances and draws."""
    longest = max((len(item) for item, _ in used), default=0)
    per_student = len(words.items) * max(DRAWS * len(learners), longest * 8)
    at_once = max(MOST_NUMBERS // per_student, 1)
    for first in range(0, len(used), at_once):
        part = range(len(used))[first : first + at_once]
        tasks = episode(used[first : first + at_once], words)
        chances, draws = believed(learners, tasks, words.shots)
        yield part, tasks, chances, [None] * len(part) if draws is None else draws


def _information(chance: np.ndarray, draws: np.ndarray | None) -> np.ndarray:
    """What the answer to each question tells; without a posterior, how little it is foreseen."""
    return chance * (1 - chance) * 4 if draws is None else informs(draws)


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
    skills_of = [[words.skills[k] for k in np.flatnonzero(row)] for row in needs_of(words)]
    information = _information(chance, draws)
    met = np.bincount(answers[0], minlength=len(chance))
    good = np.bincount(*answers, minlength=len(chance)).astype(int)
    ask = np.flatnonzero((met == 0) | repeats(words))
    ask = ask[np.argsort(-information[ask], kind="stable")][: settings.questions]
    practise = to_practise(chance, good, words, settings)[: settings.questions]
    question_rows = []
    for i, row in enumerate(judged(chance, draws, settings)):
        del row["verdict"], row["above"]
        own = {"question": words.items[i], "skills": skills_of[i]}
        own |= {"answers": int(met[i]), "right": int(good[i])}
        question_rows.append(own | row | {"informs": round(float(information[i]), 4)})
    return Student(
        name,
        len(answers[0]),
        len(used[0]),
        int(used[1].sum()),
        skill_rows(used, chance, draws, apart, words, settings),
        question_rows,
        [words.items[i] for i in ask],
        [words.items[i] for i in practise],
        ability,
    )
