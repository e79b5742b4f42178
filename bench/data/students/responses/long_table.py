"""A table with a row for each answer, such as ASSISTments 2009 and 2015 as published."""

import unicodedata
from dataclasses import replace

import numpy as np

from bench.base.errors import BenchError, nearest
from bench.base.option_text import written
from bench.data.students.responses import clock, division, table
from bench.data.students.responses.responses import Responses, build
from bench.data.students.responses.text import Text, shown

# Role: names of its column, as `table.plain` has them, the likeliest first. Where two could serve,
# as ASSISTments' problem_id and sequence_id, the first one does.
NAMES = {
    "user_id": ["user_id", "user", "student_id", "student", "uid"],
    "item_id": ["item_id", "item", "problem_id", "question_id", "question", "exer_id"],
    "correct": ["correct", "score", "is_correct", "response", "resp"],
    "skill_id": ["skill_id", "skill", "knowledge_code", "concept_id", "skill_name", "sequence_id"],
    "order_id": ["order_id", "timestamp", "log_id", "order", "start_time", "time"],
    "split": ["split"],
}
_LIKE = {"timestamp": "order_id"}
# The Item Response Warehouse's: elsewhere an id is a row's, and a date perhaps a school year's
_WAREHOUSE = {"id", "item", "resp"}
_OF_WAREHOUSE = {"user_id": ["id"], "order_id": ["date"]}
# What columns are likely to be, for advice alone
_LIKELY = {
    "user_id": ["learner", "pupil", "name", "person", "subject", "respondent", "schueler", "id"],
    "item_id": ["exercise", "task", "problem", "aufgabe", "frage", "item_name", "question_name"],
    "correct": ["right", "answer", "result", "mark", "grade", "outcome", "richtig", "value"],
}


def recognised(names: list[str]) -> bool:
    """Whether a header has two of students, items (or skills) and answers."""
    roles = _roles(names)
    needed = ({"user_id"}, {"item_id", "skill_id"}, {"correct"})
    return sum(bool(roles & part) for part in needed) >= 2


def resembled(names: list[str]) -> bool:
    """Whether a header has one of this table's columns."""
    return bool(_roles(names))


def _roles(names: list[str]) -> set[str]:
    known = set(map(table.plain, names))
    return {role for role, usual in NAMES.items() if known & set(usual)}


def read(text: Text, columns: dict[str, str] | None = None) -> Responses:
    """Reads the table.

    Rows that share student, item, answer and the number of the answer (order_id, log_id), or a time
    that is exact enough, are one answer, to an item of several skills that has a row for each.
    Without either, those that differ in nothing but the skill are. Fractional scores and missing
    answers are dropped.

    Args:
        text: the file.
        columns: ``{role: name of the column}`` where the names are unusual; the roles are
            user_id, item_id, correct, skill_id, split, and order_id or timestamp.

    Raises:
        BenchError: a column is missing, a field is empty that may not be, an answer is not
            between 0 and 1, or an order_id is neither number nor time.
    """
    names, given = table.header(text), columns or {}
    at = _find(text, names, given)
    fields, lines = table.columns(text, list(at.values()))
    field = dict(zip(at, fields))

    def where(role: str):
        name = names[at[role]]
        return lambda row, what: text.wrong(int(lines[row]), f"column {name}: {what}")

    notes = list(text.notes)
    value = table.marks(field["correct"], where("correct"))
    missing, partial = np.isnan(value), (value > 0) & (value < 1)
    if missing.any():
        notes.append(f"dropped {missing.sum():,} rows without an answer")
    if partial.any():
        notes.append(f"dropped {partial.sum():,} rows with a score between 0 and 1")
    kept = np.flatnonzero(~missing & ~partial)

    student, students = table.number(field["user_id"], where("user_id"), "student")
    role = "item_id" if "item_id" in at else "skill_id"
    item, items = table.number(field[role], where(role), role.removesuffix("_id"))
    skills, links = [], np.zeros((0, 2), np.int64)
    if "skill_id" in at:
        skills, links, found = table.link(item, field["skill_id"], where("skill_id"))
        notes += found
    timed = clock.Clock()
    if "order_id" in at:
        name = names[at["order_id"]]
        given_as = next((role for role in ("order_id", "timestamp") if role in given), None)
        told = where("order_id")
        timed = clock.read(field["order_id"], name, given_as, told, student, item, value)
        notes += timed.notes

    split = division.of_column(field["split"]) if "split" in at else None
    skill = table.number(field["skill_id"])[0] if "skill_id" in at else None
    key = _answer(student, item, value, skill, timed, role)
    once = _first(key, kept)
    if len(once) < len(kept):
        alike = len(kept) - len(_first(key if skill is None else [*key, skill], kept))
        if len(once) + alike < len(kept):
            count = len(kept) - len(once) - alike
            notes.append(f"dropped {count:,} repeated rows of multi-skill items")
        if alike:
            notes.append(f"dropped {alike:,} rows that repeat another with the same {timed.name}")
    time = np.arange(len(value)) if timed.time is None else timed.time
    if "order_id" not in at:
        notes.append("no order_id or timestamp: the answers' order may not be that of time")
    elif timed.time is not None and (ties := len(once) - len(_first([student, time], once))):
        notes.append(
            f"{ties:,} answers have the {timed.name} of another of the student: these are in the "
            "order of the file"
        )
    kept = once[np.lexsort((time[once], student[once]))]
    found = build(
        text.path,
        students,
        student[kept],
        items,
        item[kept],
        value[kept],
        skills,
        links,
        order="" if timed.time is None else f"column {timed.name}",
        notes=notes,
        split=None if split is None else split[kept],
    )
    words = ", ".join(f"{shown(names[number])} as {role}" for role, number in at.items())
    return replace(found, columns=words)


def _find(text: Text, names: list[str], columns: dict[str, str]) -> dict[str, int]:
    """The column of each role that the file has."""
    plain, at = list(map(table.plain, names)), {}
    for role, name in columns.items():
        if role not in NAMES and role not in _LIKE:
            raise BenchError(f"columns: {role!r} is no role: {nearest(role, [*NAMES, *_LIKE])}")
        name = unicodedata.normalize("NFC", str(name))
        if name not in names:
            raise BenchError(
                f"{text.path}, header: no column {name!r}, which columns= names for {role}; "
                + nearest(name, names)
            )
        at[_LIKE.get(role, role)] = names.index(name)
    for role, known in NAMES.items():
        if set(plain) >= _WAREHOUSE:
            known = [*known, *_OF_WAREHOUSE.get(role, ())]
        # "Start time" of a form is seldom written as a time that can be read
        spelt = [name.lower() for name in names] if role == "order_id" else plain
        here = [spelt.index(name) for name in known if name in spelt]
        free = [column for column in here if column not in at.values()]
        if role not in at and free:
            at[role] = free[0]
    item = "skill_id" if "skill_id" in at else "item_id"  # items may be known as skills alone
    missing = [role for role in ("user_id", item, "correct") if role not in at]
    if missing:
        free = [name for n, name in enumerate(names) if n not in at.values()]
        advice = {**columns, **{role: _likely(role, free) for role in missing}}
        raise BenchError(
            f"{text.path}, header: no column {' or '.join(missing)} among "
            f"{shown(', '.join(names))}: say which it is, as {written('columns', advice)}"
        )
    return at


def _likely(role: str, free: list[str]) -> str:
    """The column that may be meant, or a word that stands for its name."""
    found = (name for word in _LIKELY[role] for name in free if table.plain(name) == word)
    return next(found, "NAME")


def _answer(
    student: np.ndarray,
    item: np.ndarray,
    answer: np.ndarray,
    skill: np.ndarray | None,
    timed: clock.Clock,
    role: str,
) -> list[np.ndarray]:
    """What rows share that are one answer, ``[n]`` each.

    Where neither a number nor a time says so, rows are one answer that differ in the skill of their
    item alone: one that says just the same again is a second try. Where only the skill is known,
    nothing tells.
    """
    if timed.number and role == "skill_id":  # whichever of its item's skills is in its place
        return [student, answer, timed.time]
    key = [student, answer, item, *([] if timed.time is None else [timed.time])]
    if timed.exact:
        return key
    return [*key, _occurrence(key if skill is None else [*key, skill])]


def _first(key: list[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Those of the rows, ascending, whose key no earlier one has."""
    order, new = _groups([part[rows] for part in key])
    return np.sort(rows[order[new]])


def _occurrence(key: list[np.ndarray]) -> np.ndarray:
    """``[n]`` how many earlier rows have the same key."""
    order, new = _groups(key)
    place = np.arange(len(order))
    count = np.empty_like(place)
    count[order] = place - np.maximum.accumulate(np.where(new, place, 0))
    return count


def _groups(key: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """``[n]`` rows with equal ones together, in their order; ``[n]`` where another group begins."""
    order = np.lexsort(key)  # stable
    new = np.ones(len(order), bool)
    new[1:] = np.any([part[order][1:] != part[order][:-1] for part in key], 0)
    return order, new
