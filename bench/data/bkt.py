"""Synthetic students of Bayesian knowledge tracing: skills are mastered by practice."""

from functools import cached_property

import numpy as np

from bench.base.errors import BenchError
from bench.data.students.mastery import Dynamics, check_ranges, coupled, draw, needed, predict
from bench.data.students.synthetic import SyntheticStudents
from bench.tasks.questions import FEATURES


class BKTDataModule(SyntheticStudents):
    """Each skill is mastered or not; an attempt at one of its questions may change that.

    Corbett and Anderson, "Knowledge tracing", User Modeling and User-Adapted Interaction 4, 1995.
    A question is answered right with 1 - slip if all its skills are mastered, else with guess;
    then each of its skills is mastered with probability learn, or lost with forget. Each skill's
    five numbers are uniform in the ranges given. pyBKT's generator (Badrinath, Wang and Pardos,
    EDM 2021) has prior 0..1, learn 0..0.4, no forgetting, guess 0..0.4 and slip 0..0.3; these are
    narrower, so that neither everything nor nothing is known at the start.

    The questions of a skill are alike. So new ones are fully described by their skills, and no
    difficulty is shown.

    Args:
        skills: how many there are.
        skills_per_item: most skills that an item needs; their number is uniform from 1. Guess and
            slip of such an item are the means over its skills.
        prior: range of the probability that a skill is mastered before the first question.
        learn: range of the probability of learning it at one attempt.
        forget: range of the probability of losing it at one attempt.
        guess: range of the probability of a right answer without mastery.
        slip: range of the probability of a wrong answer with it.
        **kwargs: see :class:`bench.data.students.synthetic.SyntheticStudents`.
    """

    def __init__(
        self,
        skills: int = 5,
        skills_per_item: int = 1,
        prior: tuple[float, float] = (0.1, 0.6),
        learn: tuple[float, float] = (0.05, 0.3),
        forget: tuple[float, float] = (0.0, 0.0),
        guess: tuple[float, float] = (0.05, 0.3),
        slip: tuple[float, float] = (0.05, 0.2),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.require_at_least("skills", 1)
        self.require_at_least("skills_per_item", 1)
        if skills_per_item > skills:
            raise BenchError(
                f"skills_per_item={skills_per_item} of skills={skills}: an item needs a skill once"
            )
        check_ranges(self.hparams)
        coupled(self.q_matrix)

    @cached_property
    def dynamics(self) -> Dynamics:
        """The numbers of each skill, ``[skills]`` each."""
        u = self.draws("items", np.arange(self.hparams["skills"]), 5, "dynamics")
        ranges = (self.hparams[name] for name in Dynamics._fields)
        return Dynamics(*(low + (high - low) * v for (low, high), v in zip(ranges, u.T)))

    @cached_property
    def q_matrix(self) -> np.ndarray:
        """The skills of each item, ``[items + new_items, skills]`` bool."""
        number, skills = np.arange(self.all_items), self.hparams["skills"]
        first = self.draws("items", number, skills, "first skill")
        more = self.draws("items", number, 1 + skills, "more skills")
        return needed(first, more, self.hparams["skills_per_item"])

    @property
    def features(self) -> np.ndarray:
        """The skills of each item; there is nothing else to know."""
        return self.q_matrix.astype(float)

    def answers(self, split, students, item):
        """Answers, then learning, question by question."""
        most, (count, length) = self.hparams["skills_per_item"], item.shape
        answer, mastered = draw(
            Dynamics(*(v[None] for v in self.dynamics)),
            self.q_matrix[item],
            self.draws(split, students, self.hparams["skills"], "prior"),
            self.draws(split, students, length * most, "change").reshape(count, length, most),
            self.draws(split, students, length, "answers"),
        )
        return answer, {"mastery": mastered}

    def ceiling(self, x, answer, support):
        """Forward-backward: answers after a question tell of it as well as those before."""
        return predict(self.dynamics, x[..., FEATURES:] > 0.5, answer, support)[0]
