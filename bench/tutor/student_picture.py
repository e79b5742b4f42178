"""One picture a student: the chance of success skill by skill, and the next questions."""

import warnings
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.results import plots
from bench.tutor.assessment import Student
from bench.tutor.judgement import MASTERED, NOT_ASKED, NOT_MASTERED, UNDECIDED, Settings

# Okabe and Ito's colours, which colour-blind readers tell apart; shapes say it again
MARKS = {MASTERED: ("#009E73", "o"), UNDECIDED: ("#7F7F7F", "D"), NOT_MASTERED: ("#D55E00", "s")}
MARKS |= {NOT_ASKED: ("#A0A0A0", "x")}
UNJUDGED = ("#0072B2", "o")
MOST_SKILLS = 30
LONGEST = 34  # characters of a name


def chosen(student: Student, most: int) -> list[dict[str, Any]]:
    """The skills worth showing where there are too many, those mastered best first.

    These are the skills of questions answered, then those of the next questions, then the
    decided ones, then the others; of each kind those of which most is known.
    """
    skills_of = {row["question"]: row["skills"] for row in student.questions}
    upcoming = {s for name in (*student.ask, *student.practise) for s in skills_of[name]}
    rank = {
        row["skill"]: (
            not row["answers"],
            row["skill"] not in upcoming,
            row["verdict"] == UNDECIDED,
            (row["high"] or 0) - (row["low"] or 0),
        )
        for row in student.skills
    }
    rows = sorted(student.skills, key=lambda row: rank[row["skill"]])[:most]
    return sorted(rows, key=lambda row: -row["chance"])


def save(student: Student, settings: Settings, path: Path) -> None:
    """Draws a student into a file; letters that the font lacks become boxes.

    Raises:
        BenchError: if the folder cannot be written to.
    """
    # names are no formulae, whatever signs are in them
    with matplotlib.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        plots.save(draw(student, settings), path)


def draw(student: Student, settings: Settings) -> Figure:
    """The figure of a student."""
    rows = chosen(student, MOST_SKILLS)
    lines = max(len(rows), 2 * settings.questions + 4)
    figure = Figure(figsize=(9, 0.23 * lines + 1.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[2.4, 1])
    used = f" (the latest {student.used} used)" if student.used < student.answers else ""
    words = f"{student.answers:,} answers{used}, {student.right} right"
    if student.ability:
        words += f"; ability {ability(student)}"
    if len(rows) < len(student.skills):
        words += f"; {len(rows)} of {len(student.skills)} skills"
    figure.suptitle(f"{_short(student.name, 50)}: {words}", x=0.01, ha="left", fontsize=11)
    _skills(left, rows, settings)
    _next(right, student, settings, lines)
    if rows[0]["verdict"]:
        figure.legend(
            handles=[
                Line2D([], [], color=color, marker=mark, label=f"{verdict} ({counted})")
                for verdict, (color, mark) in MARKS.items()
                for counted in [len(student.verdicts(verdict))]
            ],
            loc="outside lower left",
            ncols=len(MARKS),
            fontsize=8,
            frameon=False,
        )
    return figure


def ability(student: Student) -> str:
    """The ability and its interval, in words."""
    return "{mean:+.1f} ({low:+.1f} to {high:+.1f})".format(**student.ability)


def _skills(axes: Axes, rows: list[dict[str, Any]], settings: Settings) -> None:
    """Chance and interval of each skill; beside its name the right answers among those given."""
    low, high = settings.target
    axes.axvspan(low, high, color="#56B4E9", alpha=0.18, linewidth=0)
    judged = bool(rows[0]["verdict"])
    if judged:
        axes.axvline(settings.mastery, color="#009E73", linewidth=1, linestyle="--")
    for place, row in enumerate(rows):
        color, mark = MARKS.get(row["verdict"], UNJUDGED)
        if row["low"] is not None:
            axes.plot([row["low"], row["high"]], [place, place], color=color, linewidth=2)
        axes.plot(row["chance"], place, mark, color=color, markersize=5)
    names = [
        _short(row["skill"], LONGEST)
        + (f"  ({row['right']}/{row['answers']})" if row["answers"] else "")
        for row in rows
    ]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    words = "(right/answered); shaded: to practise"
    if judged:
        words += ", dashed: mastery"
    if rows[0]["low"] is not None:
        words += f", lines: {2 * settings.certainty - 1:.0%} intervals"
    axes.set_xlabel(f"chance of success  {words}", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(color="#E5E5E5", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _next(axes: Axes, student: Student, settings: Settings, lines: int) -> None:
    """The questions to ask and to practise, with their chances of success."""
    axes.set_axis_off()
    axes.set_ylim(lines, 0)
    axes.set_xlim(0, 1)
    low, high = settings.target
    chance = {row["question"]: row["chance"] for row in student.questions}
    at = 0.5
    for title, names in (
        ("Next to ask (most informative)", student.ask),
        (f"Next to practise ({low:.0%} to {high:.0%})", student.practise),
    ):
        axes.text(0, at, title, fontsize=9, weight="bold", va="center")
        for i, name in enumerate(names, 1):
            axes.text(0, at + i, _short(name, LONGEST), fontsize=8, va="center")
            axes.text(1, at + i, f"{chance[name]:.0%}", fontsize=8, va="center", ha="right")
        if not names:
            axes.text(0, at + 1, "none", fontsize=8, va="center")
        at += max(len(names), 1) + 2


def _short(name: str, longest: int) -> str:
    name = " ".join(name.split())
    return name if len(name) <= longest else name[: longest - 1] + "…"
