"""The tutor: answers come one by one, and what is believed of the student follows each of them."""

import threading
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.base.errors import BenchError
from bench.data.students import responses
from bench.data.students.responses.text import shown
from bench.tasks import counter_random
from bench.tasks.episode import Episode
from bench.tutor import posterior, reading
from bench.tutor.answer_book import Answer, AnswerBook, named
from bench.tutor.assessment import Answers, Standing, Student, assess, stand
from bench.tutor.belief import as_trained, believed, chances, episode, tells_skills_apart
from bench.tutor.judgement import (
    Settings,
    practice_order,
    repeats,
    skill_rows,
    sure_enough,
    told,
)
from bench.tutor.policies import POLICIES, check, ranked

CURVE = 64  # draws for each point of a student's curve
POINTS = 50  # of a curve, at most
AT_ONCE = 50  # students of a class, before others have their turn


class Tutor:
    """What each student of a class can do, and what to ask next, from a model and their answers.

    All that is known of students lies in the file of answers: several tutors, in several processes,
    may share it, and each sees what the others wrote.

        >>> tutor = Tutor("model.ckpt", db="class.sqlite")  # doctest: +SKIP
        >>> tutor.answer("ann", "q7", right=True)  # doctest: +SKIP
        >>> tutor.next("ann", n=3)  # doctest: +SKIP

    Args:
        checkpoint: of a model of students, as ``maml-bench fit`` writes it; several are averaged.
        db: file of SQLite for the answers; made if it is not there.
        settings: when a skill is mastered, and how sure that must be.

    Raises:
        BenchError: if one of the files cannot be used.
    """

    def __init__(
        self,
        checkpoint: str | Path | Sequence[str | Path],
        db: str | Path,
        settings: Settings | None = None,
    ):
        several = isinstance(checkpoint, (list, tuple))
        self.learners, self.words = reading.load(checkpoint if several else [checkpoint])
        self.book = AnswerBook(db)
        self.settings = settings or Settings()
        self.apart = tells_skills_apart(self.learners)
        self._number = {name: i for i, name in enumerate(self.words.items)}
        self._turn = threading.Lock()  # a learner serves one thread at a time

    # Answers -----------------------------------------------------------------------------------

    def answer(self, student: str, question: str, right: bool, id: str | None = None) -> bool:
        """Writes down an answer; it is safe on disk when this returns.

        Args:
            student: name; one that is new begins with this answer.
            question: as the model calls it.
            right: whether the answer was right.
            id: of this answer, so that it counts once however often it is sent; None: a new one.

        Returns:
            Whether it was new.

        Raises:
            BenchError: for a question that the model does not know, and a name that is none.
        """
        self.number(question)
        return self.book.add(student, question, right, id)

    def load(self, file: str | Path, skip_unknown: bool = False) -> tuple[int, list[str]]:
        """Takes over a file of answers; those that are there already do not count again.

        Args:
            file: in any format of :func:`bench.data.students.responses.read`.
            skip_unknown: whether to leave out answers to unknown questions; otherwise refused.

        Returns:
            How many answers were new, and what was read and left out, in sentences.

        Raises:
            BenchError: what is wrong with the file; nothing is taken over then.
        """
        found = responses.read(file)
        known = reading.known(found, self.words, Path(file).name, skip_unknown)
        rows = (
            (student, self.words.items[item], bool(right))
            for student, items, rights in zip(known.students, known.item, known.right)
            for item, right in zip(items.tolist(), rights.tolist())
        )
        new = self.book.add_missing(rows)
        counts, order, *_ = found.sentences()
        return new, [counts, order, *known.notes]

    def answers(self, student: str) -> list[Answer]:
        """A student's answers to the questions of this model."""
        return [a for a in self.book.of(student) if a.question in self._number]

    def students(self) -> dict[str, int]:
        """How many answers each student gave, by name in the order of the alphabet."""
        return self.book.students()

    # What is believed --------------------------------------------------------------------------

    def predict(self, student: str) -> dict[str, float]:
        """The chance that a student gets each question right, were it asked next."""
        with self._turn:
            tasks = self._tasks([self._pairs(self.answers(student))])
            chance = chances(self.learners, tasks, self.words.shots)[0]
        return dict(zip(self.words.items, chance.tolist()))

    def skills(self, student: str) -> list[dict[str, Any]]:
        """A student's skills: chance of success, interval and verdict of each.

        Returns:
            Rows as in :attr:`bench.tutor.assessment.Student.skills`.
        """
        return self.skills_over_time([self.answers(student)])[0]

    def skills_over_time(self, answers: Sequence[Sequence[Answer]]) -> list[list[dict[str, Any]]]:
        """The skills of a student, after each of several lists of answers."""
        pairs = [self._pairs(some) for some in answers]
        with self._turn:
            chance, draws = believed(self.learners, self._tasks(pairs), self.words.shots)
        return [
            told(
                skill_rows(
                    pair,
                    chance[i],
                    None if draws is None else draws[i],
                    self.apart,
                    self.words,
                    self.settings,
                )
            )
            for i, pair in enumerate(pairs)
        ]

    def sure(self, student: str) -> bool:
        """Whether the student's skills are known well enough to ask no more."""
        return sure_enough(self.skills(student), self.settings)

    def next(
        self, student: str, n: int = 1, policy: str | None = None, randomesque: int = 1
    ) -> list[str]:
        """The questions to ask next, the best first; none that was answered.

        Args:
            student: name.
            n: how many, at most.
            policy: a key of :data:`bench.tutor.selection.POLICIES`; None: ``"bayes"``, or
                ``"uncertainty"`` for one learner without a posterior.
            randomesque: how many of the best to choose from at random, so that neighbours are not
                asked the same (Kingsbury and Zara 1989); 1: always the best.

        Raises:
            BenchError: for a policy that is not known, or that the learners cannot serve.
        """
        policy = policy or self.policy
        check([policy], self.learners)
        item, _ = pair = self._pairs(self.answers(student))
        # of the name alone, so that what is drawn for a student is the same in every process
        index, _ = counter_random.stream("tutor", named(student))
        with self._turn:
            tasks = self._tasks([pair])._replace(index=torch.tensor([index]))
            if not repeats(self.words):
                tasks.query_w[0, torch.from_numpy(item)] = 0
            tasks = as_trained(self.learners[0], tasks, self.words.shots)
            score = POLICIES[policy](self.learners, tasks)
        score = score.masked_fill(tasks.query_w == 0, -torch.inf)
        best = ranked(score, tasks.index, len(item), randomesque)[0]
        return [self.words.items[i] for i in best[: min(n, int(tasks.query_w.sum()))].tolist()]

    def practise(self, student: str, n: int = 1) -> list[str]:
        """The questions to practise, the best first: neither too hard nor too easy.

        Those with a chance of success in the target zone that were not answered right, then those
        that are too hard, then those that are known already.
        """
        item, right = self._pairs(self.answers(student))
        chance = np.array(list(self.predict(student).values()))
        good = np.bincount(item, right, minlength=len(chance)).astype(int)
        found = practice_order(chance, good, self.words, self.settings)
        return [self.words.items[i] for i in found[:n]]

    def explain(self, student: str, question: str) -> list[dict[str, Any]]:
        """Which answers moved the prediction of a question: without each, what would it be?

        Returns:
            A row for each answer, the one that moved most first: ``question`` and ``right`` of the
            answer, ``moved``: the chance with all answers minus that without this one, and ``id``.
        """
        number = self.number(question)
        answers = self.answers(student)
        item, right = self._pairs(answers)
        keep = ~np.eye(len(answers), dtype=bool)
        pairs = [(item, right), *((item[some], right[some]) for some in keep)]
        with self._turn:
            tasks = self._tasks(pairs, [number])
            chance = chances(self.learners, tasks, self.words.shots)[:, 0].tolist()
        rows = [
            {"question": a.question, "right": a.right, "moved": chance[0] - without, "id": a.id}
            for a, without in zip(answers, chance[1:])
        ]
        return sorted(rows, key=lambda row: -abs(row["moved"]))

    def curve(self, student: str) -> list[dict[str, float]]:
        """A student's chance of success, the mean over all questions, after each answer.

        Returns:
            Rows with the number of ``answers``, ``chance`` and the ends of its interval, ``low``
            and ``high`` (None without a posterior); at most so many as :data:`POINTS`.
        """
        answers = self.answers(student)
        item, right = self._pairs(answers)
        counts = np.unique(np.linspace(0, len(answers), POINTS).round().astype(int)).tolist()
        with self._turn:
            tasks = self._tasks([(item[:n], right[:n]) for n in counts])
            chance, draws = believed(self.learners, tasks, self.words.shots, CURVE)
        rows = [
            {"answers": n, "chance": p, "low": None, "high": None}
            for n, p in zip(counts, chance.mean(1).tolist())
        ]
        if draws is not None:
            c = self.settings.certainty
            for row, ends in zip(rows, np.quantile(draws.mean(2), [1 - c, c], axis=1).T.tolist()):
                row["low"], row["high"] = ends
        return rows

    def report(self, students: Sequence[str]) -> list[Student]:
        """All that is found about some students, as ``maml-bench student`` reports it."""
        given = self._given(students)
        with self._turn:
            found = assess(self.learners, self.words, given, self.settings)
            return [student.as_told() for student in found]

    def standings(self, students: Sequence[str]) -> list[Standing]:
        """How students stand, for a whole class in a fraction of the time of :meth:`report`."""
        found = []
        for first in range(0, len(students), AT_ONCE):
            given = self._given(students[first : first + AT_ONCE])
            with self._turn:  # between the parts pupils have theirs
                found += stand(self.learners, self.words, given, self.settings)
        return found

    @property
    def policy(self) -> str:
        """The policy that is followed where none is asked for."""
        single = len(self.learners) == 1 and not posterior.has_ability(self.learners[0])
        return "uncertainty" if single else "bayes"

    def number(self, question: str) -> int:
        """The number of a question.

        Raises:
            BenchError: if the model does not know it; names the nearest one.
        """
        if question not in self._number:
            near = get_close_matches(str(question), self.words.items, n=1) or self.words.items[:1]
            raise BenchError(
                f"unknown question {shown(str(question))}: the model knows {len(self._number):,}, "
                f"such as {shown(near[0])}"
            )
        return self._number[question]

    def _pairs(self, answers: Sequence[Answer]) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the questions, and whether they were answered right."""
        found = [(self._number[a.question], a.right) for a in answers]
        item, right = np.array(found, np.int64).reshape(-1, 2).T
        return item, right

    def _given(self, students: Sequence[str]) -> Answers:
        pairs = [self._pairs(self.answers(student)) for student in students]
        return Answers(list(students), *([pair[k] for pair in pairs] for k in (0, 1)), [])

    def _tasks(self, pairs, questions: Sequence[int] | None = None) -> Episode:
        return episode(pairs, self.words, questions)
