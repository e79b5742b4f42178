"""What was found about students, as tables in the terminal, CSV, JSON and pictures."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bench.base import paths, spreadsheets
from bench.base.errors import BenchError
from bench.tutor import student_picture
from bench.tutor.assessment import Student
from bench.tutor.judgement import MASTERED, NOT_ASKED, NOT_MASTERED, UNDECIDED, Settings
from bench.tutor.pages.class_view import class_page

STYLES = {MASTERED: "green", UNDECIDED: "yellow", NOT_MASTERED: "red", NOT_ASKED: "dim"}
SHOWN_WHOLE = 3  # students, skill by skill, in the terminal; of more, a line each
MOST_SKILLS = 15  # of each in the terminal
BAR = 24  # characters


@dataclass(frozen=True)
class About:
    """Where the findings come from.

    Attributes:
        checkpoints: their paths.
        algorithms: class names, one a checkpoint.
        answers: the file.
        shots: how many answers of a student the model was trained to read, at most.
        settings: of the tutor.
        notes: what was dropped or skipped, in sentences.
        read: what the file holds, in sentences.
    """

    checkpoints: list[str]
    algorithms: list[str]
    answers: str
    shots: int
    settings: Settings
    notes: list[str]
    read: list[str] = field(default_factory=list)


def sentences(students: list[Student], about: About) -> list[str]:
    """What a reader must know, one sentence an entry."""
    settings, row = about.settings, students[0].skills[0]
    sure, threshold = f"{settings.certainty:.0%}", f"{settings.mastery:.0%}"
    success = "mean chance of success over its questions, were one of them asked next,"
    said = []
    if row["low"] is None:
        said.append(
            f"One {about.algorithms[0]} does not say how unsure it is. Give several checkpoints, "
            "or one of bilevel_irt, rasch or two_pl."
        )
        if row["verdict"]:
            said.append(f"Mastered: the {success} is above {threshold}, by the prediction alone.")
        said.append("To ask: the questions whose answer is least foreseen.")
    else:
        if row["verdict"]:
            said.append(
                f"Mastered: with at least {sure} probability, the {success} is above {threshold}; "
                "not mastered: likewise below."
            )
        said += [
            f"Intervals hold {2 * settings.certainty - 1:.0%} of the probability; how sure the "
            "difficulty of a question is, is not in them.",
            "To ask: the questions whose answer is expected to tell most about all others.",
        ]
    low, high = settings.target
    said.append(f"To practise: questions with a chance of success from {low:.0%} to {high:.0%}.")
    if len(about.checkpoints) > 1:
        said.append(f"Averaged over {len(about.checkpoints)} checkpoints.")
    if any(student.used < student.answers for student in students):
        said.append(f"Of each student the latest {settings.latest} answers are used.")
    if any(student.used > about.shots for student in students):
        said.append(
            f"Some students have more answers than the {about.shots} that the model was trained to "
            "read: all are used, but it was not tested on so many (train with more: --data.shots)."
        )
    if any(student.ability for student in students):
        said.append(
            "Ability: in standard deviations from the average student; 0 is average, 1 better than "
            "84%."
        )
    return said + about.notes


# Files -----------------------------------------------------------------------------------------


def write(students: list[Student], about: About, out: Path, pictures: bool) -> None:
    """Writes ``students.json``, tables in CSV, ``class.html`` and ``pictures/<student>.png``.

    Raises:
        BenchError: if the folder cannot be written to.
    """
    paths.writable(out)
    files = [f"pictures/{name}.png" for name in file_names([s.name for s in students])]
    for student, file in zip(students, files if pictures else []):
        student_picture.save(student, about.settings, out / file)
    found = {"schema": 1, **asdict(about), "reading": sentences(students, about)}
    found["students"] = [
        asdict(s) | {"picture": file if pictures else None} for s, file in zip(students, files)
    ]
    texts = {
        "students.json": json.dumps(found, indent=1, ensure_ascii=False) + "\n",
        "skills.csv": _csv([{"student": s.name} | row for s in students for row in s.skills]),
        "questions.csv": _csv([row for s in students for row in _question_rows(s)]),
        "class.html": class_page(students, about.settings, [*about.read, *found["reading"]]),
    }
    for name, text in texts.items():
        try:
            with paths.replacing(out / name) as file:
                file.write(text.encode(errors="replace"))
        except OSError as error:
            raise BenchError(f"cannot write {out / name}: {error.strerror}") from None


def _csv(rows: list[dict[str, Any]]) -> str:
    return spreadsheets.to_csv(pd.DataFrame(rows))


def _question_rows(student: Student) -> list[dict[str, Any]]:
    """The questions of a student, with their places among the next ones, from 1."""
    ask, practise = ({n: i for i, n in enumerate(v, 1)} for v in (student.ask, student.practise))
    return [
        {"student": student.name}
        | row
        | {"skills": "; ".join(row["skills"])}
        | {"ask": ask.get(row["question"], ""), "practise": practise.get(row["question"], "")}
        for row in student.questions
    ]


def file_names(students: list[str]) -> list[str]:
    """Names of files for students, all different however a file system compares them.

    Letters, digits, ``-`` and ``_`` stay; a name that had to change ends in a checksum of it.

    >>> file_names(["Anna", "../x", "anna"])
    ['Anna', '_x-d6b96a97', 'anna-55579b55']
    """
    taken, names = set(), []
    for number, student in enumerate(students):
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", student)[:40]
        if name != student or name.casefold() in taken:
            name += "-" + hashlib.sha256(student.encode(errors="replace")).hexdigest()[:8]
        if name.casefold() in taken:  # the same student twice
            name += f"-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


# Terminal --------------------------------------------------------------------------------------


def show_input(about: About, console: Console) -> None:
    """Prints what was read, before anything is made of it."""
    for sentence in [*about.read, *about.notes]:
        console.print(sentence, markup=False, highlight=False)


def show(students: list[Student], about: About, out: Path, console: Console) -> None:
    """Prints few students skill by skill, of many a line each."""
    if len(students) <= SHOWN_WHOLE:
        for student in students:
            console.print(_title(student), soft_wrap=True)
            console.print(_whole(student, about.settings))
            console.print(_next(student))
            console.print()
    else:
        console.print(_overview(students))
    for sentence in sentences(students, about):
        if sentence not in about.notes:  # which stand above
            console.print(f"[dim]{escape(sentence)}[/dim]", highlight=False)
    console.print(f"Wrote {out}", style="bold", highlight=False, markup=False, soft_wrap=True)


def _whole(student: Student, settings: Settings) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Skill", min_width=12, max_width=36, overflow="ellipsis", no_wrap=True)
    table.add_column("Right", justify="right")
    table.add_column("Chance", justify="right")
    table.add_column("Interval", justify="right", min_width=11)
    table.add_column("0 %" + "100 %".rjust(BAR - 3), no_wrap=True)
    judged = bool(student.skills[0]["verdict"])
    if judged:
        table.add_column("Verdict", min_width=len(NOT_ASKED), no_wrap=True)
    rows = student_picture.chosen(student, MOST_SKILLS)
    for row in rows:
        style = STYLES.get(row["verdict"], "")
        table.add_row(
            Text(row["skill"]),
            f"{row['right']} of {row['answers']}" if row["answers"] else "-",
            f"{row['chance']:.0%}",
            "-" if row["low"] is None else f"{row['low']:.0%} to {row['high']:.0%}",
            Text(_bar(row, settings.mastery if judged else None), style),
            *([Text(row["verdict"], style)] if judged else []),
        )
    if len(rows) < len(student.skills):
        table.caption = f"{len(student.skills) - len(rows)} more skills in skills.csv"
        table.caption_justify = "left"
    return table


def _bar(row: dict[str, Any], mastery: float | None) -> str:
    """The interval as a line with the chance on it, and the threshold of mastery, if any.

    >>> _bar({"chance": 0.5, "low": 0.25, "high": 0.75}, 0.8)
    '      ──────●──────│    '
    """
    cells = [" "] * BAR

    def place(share: float) -> int:
        return min(int(share * BAR), BAR - 1)

    if row["low"] is not None:
        low, high = place(row["low"]), place(row["high"])
        cells[low : high + 1] = "─" * (high + 1 - low)
    if mastery is not None:
        cells[place(mastery)] = "┼" if cells[place(mastery)] == "─" else "│"
    cells[place(row["chance"])] = "●"
    return "".join(cells)


def _title(student: Student) -> Text:
    used = f" (the latest {student.used} used)" if student.used < student.answers else ""
    words = f"{student.answers:,} answers{used}, {student.right} right"
    if student.ability:
        words += f"; ability {student_picture.ability(student)}"
    if student.skills[0]["verdict"]:
        counts = [f"{len(student.verdicts(verdict))} {verdict}" for verdict in STYLES]
        words += f"; skills: {', '.join(counts)}"
    return Text.assemble((student.name, "bold"), f"   {words}")


def _next(student: Student) -> Text:
    text = Text(no_wrap=False)
    for i, (what, names) in enumerate((("ask", student.ask), ("practise", student.practise))):
        text.append("\n" * i + f"Next to {what + ':':10}", "bold")
        text.append(", ".join(_with_chance(student, names)) or "nothing")
    return text


def _with_chance(student: Student, names: list[str]) -> list[str]:
    chance = {row["question"]: row["chance"] for row in student.questions}
    return [f"{name} ({chance[name]:.0%})" for name in names]


def _overview(students: list[Student]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Student", style="bold", max_width=24, overflow="ellipsis", no_wrap=True)
    table.add_column("Right", justify="right")
    by_skill = len(students[0].skills) > 1
    if any(s.ability for s in students):
        table.add_column("Ability", justify="right")
    if by_skill:
        for verdict, style in STYLES.items():
            table.add_column(verdict.capitalize(), justify="right", style=style)
    else:
        table.add_column(students[0].skills[0]["skill"].capitalize(), justify="right")
        if students[0].skills[0]["verdict"]:
            table.add_column("Verdict")
    table.add_column("Ask next")
    table.add_column("Practise")
    for s in students:
        cells = [student_picture.ability(s)] if s.ability else []
        if by_skill:
            cells += [str(len(s.verdicts(verdict))) for verdict in STYLES]
        else:
            cells.append(_chance(s.skills[0]))
            if verdict := s.skills[0]["verdict"]:
                cells.append(Text(verdict, STYLES[verdict]))
        next_ones = (Text(", ".join(v[:3]) or "-") for v in (s.ask, s.practise))
        table.add_row(Text(s.name), f"{s.right} of {s.used}", *cells, *next_ones)
    return table


def _chance(row: dict[str, Any]) -> str:
    """The chance of success, with its interval where there is one."""
    ends = "" if row["low"] is None else f" ({row['low']:.0%} to {row['high']:.0%})"
    return f"{row['chance']:.0%}{ends}"
