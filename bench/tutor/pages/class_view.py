"""A class at a glance: students by skills, who needs what next, which questions tell little."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.tutor.assessment import Standing, Student
from bench.tutor.judgement import MASTERED, NOT_MASTERED, UNDECIDED, Settings
from bench.tutor.pages import rendering

LITTLE = 8  # questions that tell least, named
MOST_COLUMNS = 24  # skills in the table; all of them are on each student's own page


@dataclass(frozen=True)
class Need:
    """A skill, and how the students stand in it.

    Attributes:
        skill: its name.
        names: of the students, by verdict.
    """

    skill: str
    names: dict[str, list[str]]


@dataclass(frozen=True)
class ClassView:
    """What the page of a class shows.

    Attributes:
        students: what was found about each of those in the table.
        skills: names of the columns, those that most students of the class lack first.
        needs: a row for each skill of which somebody lacks something.
        little: questions of which the answer tells least about the others, with what share of the
            uncertainty it is expected to remove; the least first.
        settings: of the tutor.
        intervals: whether the model says how unsure it is.
        judged: whether it judges skills.
    """

    students: Sequence[Student]
    skills: list[str]
    needs: list[Need]
    little: list[tuple[str, float]]
    settings: Settings
    intervals: bool
    judged: bool

    def cells(self, student: Student) -> list[dict[str, Any]]:
        """A student's skills, in the order of the columns."""
        rows = {row["skill"]: row for row in student.skills}
        return [rows[skill] for skill in self.skills]


def class_view(
    students: Sequence[Student], settings: Settings, everybody: Sequence[Standing] | None = None
) -> ClassView:
    """Puts together what is found about students of one model.

    Args:
        students: those in the table.
        settings: of the tutor.
        everybody: the students of the class, of whom all else is; None: those in the table.
    """
    if everybody is None:
        everybody = [
            Standing(s.name, s.skills, np.array([row["informs"] for row in s.questions]))
            for s in students
        ]
    rows = [row for student in everybody for row in student.skills]
    names = list(dict.fromkeys(row["skill"] for row in rows))
    chance = {skill: [] for skill in names}
    by_skill = {skill: {v: [] for v in (NOT_MASTERED, UNDECIDED, MASTERED)} for skill in names}
    for student in everybody:
        for row in student.skills:
            chance[row["skill"]].append(row["chance"])
            if row["verdict"]:  # what nobody asked about is what is usual, and no judgement
                verdict = row["verdict"] if row["answers"] else UNDECIDED
                by_skill[row["skill"]][verdict].append(student.name)
    names.sort(key=lambda skill: np.mean(chance[skill]))
    needs = [Need(skill, by_skill[skill]) for skill in names if by_skill[skill][NOT_MASTERED]]
    return ClassView(
        students,
        names[:MOST_COLUMNS],
        needs,
        _little([row["question"] for row in students[0].questions], everybody),
        settings,
        any(row["low"] is not None for row in rows),
        any(row["verdict"] for row in rows),
    )


def _little(questions: Sequence[str], everybody: Sequence[Standing]) -> list[tuple[str, float]]:
    mean = np.mean([student.informs for student in everybody], 0, dtype=np.float64)
    return [(questions[i], float(mean[i])) for i in mean.argsort(kind="stable")[:LITTLE]]


def class_page(students: Sequence[Student], settings: Settings, sentences: list[str]) -> str:
    """One page that needs nothing else: the class, then each student.

    Args:
        students: what was found about each.
        settings: of the tutor.
        sentences: what a reader must know.
    """
    view = class_view(students, settings)
    return rendering.page(
        "report.html",
        view=view,
        sentences=sentences,
        style=rendering.style(),
        chances=lambda student: {row["question"]: row["chance"] for row in student.questions},
        settings=settings,
    )
