"""A table with a row for each answer, such as ASSISTments 2009 and 2015 as published."""

from datetime import UTC, datetime

import numpy as np

from bench.base.errors import BenchError, nearest
from bench.data.students.responses import table
from bench.data.students.responses.responses import Responses, build
from bench.data.students.responses.text import Text, shown

# Role: names of its column, lower case, the likeliest first. Where two could serve, as
# ASSISTments' problem_id and sequence_id, the first one does.
NAMES = {
    "user_id": ["user_id", "user", "student_id", "student", "uid"],
    "item_id": ["item_id", "item", "problem_id", "question_id", "question", "exer_id"],
    "correct": ["correct", "score", "is_correct", "response"],
    "skill_id": ["skill_id", "skill", "knowledge_code", "concept_id", "skill_name", "sequence_id"],
    "order_id": ["order_id", "timestamp", "log_id", "order", "time", "start_time"],
}
_LIKE = {"timestamp": "order_id"}


def recognised(names: list[str], first: int = 1) -> bool:
    """Whether some column of a header, from the first that counts on, is one of this table's."""
    known = {name for role in NAMES.values() for name in role}
    return any(name.lower() in known for name in names[first:])


def read(text: Text, columns: dict[str, str] | None = None) -> Responses:
    """Reads the table.

    Rows that share student, item, order_id and answer are one answer, to an item of several skills
    that has a row for each. Without an order_id, those that differ in nothing but the skill are.
    Fractional scores and missing answers are dropped.

    Args:
        text: the file.
        columns: ``{role: name of the column}`` where the names are unusual; the roles are
            user_id, item_id, correct, skill_id, and order_id or timestamp.

    Raises:
        BenchError: a column is missing, a field is empty that may not be, an answer is not
            between 0 and 1, or an order_id is neither number nor time.
    """
    names = table.header(text)
    at = _find(text, names, columns or {})
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
        skills, links = table.link(item, field["skill_id"], where("skill_id"))
    time = _time(field["order_id"], where("order_id")) if "order_id" in at else None

    key = [student, value, item]
    if time is not None:
        # An order_id is of one answer, whichever of its item's skills is in the item's place.
        of_answer = names[at["order_id"]].lower() in ("order_id", "log_id")
        key = [student, value, time] if role == "skill_id" and of_answer else [*key, time]
    elif "skill_id" in at:  # a row that says just the same again is a second try
        key.append(_occurrence([*key, table.number(field["skill_id"])[0]]))
    if len(key) > 3 or time is not None:
        once = _first(key, kept)
        if len(once) < len(kept):
            of = " of multi-skill items" if skills else ""
            notes.append(f"dropped {len(kept) - len(once):,} repeated rows{of}")
        kept = once
    if time is None:
        notes.append("no order_id or timestamp: the answers' order may not be that of time")
    in_time = (np.arange(len(kept)) if time is None else time[kept], student[kept])
    kept = kept[np.lexsort(in_time)]
    return build(
        text.path,
        students,
        student[kept],
        items,
        item[kept],
        value[kept],
        skills,
        links,
        ordered=time is not None,
        notes=notes,
    )


def _find(text: Text, names: list[str], columns: dict[str, str]) -> dict[str, int]:
    """The column of each role that the file has."""
    lower = [name.lower() for name in names]
    at = {}
    for role, name in columns.items():
        if role not in NAMES and role not in _LIKE:
            raise BenchError(f"columns: {role!r} is no role; {nearest(role, [*NAMES, *_LIKE])}")
        if name not in names:
            raise BenchError(
                f"{text.path}, header: no column {name!r}, which columns= names for {role}; "
                + nearest(str(name), names)
            )
        at[_LIKE.get(role, role)] = names.index(name)
    for role, known in NAMES.items():
        here = [lower.index(name) for name in known if name in lower]
        free = [column for column in here if column not in at.values()]
        if role not in at and free:
            at[role] = free[0]
    item = "skill_id" if "skill_id" in at else "item_id"  # items may be known as skills alone
    missing = [role for role in ("user_id", item, "correct") if role not in at]
    if missing:
        raise BenchError(
            f"{text.path}, header: no column {' or '.join(missing)} among "
            f"{shown(', '.join(names))}: say which it is, "
            f'as columns={{"{missing[0]}": "its name"}}'
        )
    return at


def _time(tokens: list[str], where: table.Where) -> np.ndarray:
    """``[n]`` what sorts the rows: whole numbers, numbers or ISO 8601 times."""
    for convert in (int, float, _seconds):
        try:
            time = np.array([convert(token) for token in tokens])
        except (ValueError, OverflowError):
            continue
        if time.dtype != object and np.isfinite(time).all():
            return time
    for row, token in enumerate(tokens):
        try:
            if np.isfinite(_seconds(token)):
                continue
        except (ValueError, OverflowError):
            pass
        raise where(
            row, f"{shown(token)} is neither a number nor a time such as 2024-05-31 12:00:00"
        )
    raise where(0, "numbers and times are mixed, or too large: write them all alike")


def _seconds(token: str) -> float:
    try:
        return float(token)
    except ValueError:
        time = datetime.fromisoformat(token.strip())
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


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
