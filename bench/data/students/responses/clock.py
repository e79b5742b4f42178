"""What a column of numbers or times says of a student's answers: their order, and which are one."""

import re
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from bench.base.option_text import written
from bench.data.students.responses import table
from bench.data.students.responses.text import shown

_OF_AN_ANSWER = ("order_id", "log_id")
_EPOCH = 1e8  # seconds since 1970 from here on, to 1973; smaller numbers are no time of day
_MINUTES = ((1e17, 60e9), (1e14, 60e6), (1e11, 60e3), (_EPOCH, 60))  # from which size, in units
_CALENDAR = re.compile(  # 20240531, 202405311200, ...
    r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(([01]\d|2[0-3])([0-5]\d([0-5]\d)?)?)?",
    re.ASCII,
)
_DURATION = re.compile(
    r"(\d{1,3}:)?\d{1,3}:\d\d([.,]\d+)?|\d+([.,]\d+)?\s*(ms|s|secs?|seconds?|mins?|minutes?|h)\b.*",
    re.ASCII | re.IGNORECASE,
)


class Clock(NamedTuple):
    """What the column says.

    Attributes:
        name: of the column.
        time: ``[n]`` what sorts the rows; None: nothing does.
        number: whether it numbers the answers.
        exact: whether rows that share it, and all else, are one answer.
        notes: why it is not taken for the order.
    """

    name: str = ""
    time: np.ndarray | None = None
    number: bool = False
    exact: bool = False
    notes: tuple[str, ...] = ()


def read(
    tokens: list[str],
    name: str,
    given_as: str | None,
    where: table.Where,
    student: np.ndarray,
    item: np.ndarray,
    answer: np.ndarray,
) -> Clock:
    """Reads the column.

    A number of the answer (order_id, log_id) tells rows that are one answer. A time does where it
    has seconds, and no student answers an item right and wrong at the same one; small numbers
    without a unit do where each is of one answer of a student.

    Args:
        tokens: ``[n]``.
        name: of the column.
        given_as: the role that the user gave it, ``"order_id"`` or ``"timestamp"``; None: found by
            its name. Then a column ``time`` may hold durations, which are no order.
        where: makes an error of (row, what is wrong).
        student: ``[n]``.
        item: ``[n]``, or skills where there are no items.
        answer: ``[n]``.

    Raises:
        BenchError: a token is neither a number nor a time.
    """
    plain = table.plain(name)
    if given_as is None and plain == "time" and _are_durations(tokens, student):
        remedy = written("columns", {"timestamp": name})
        note = f"column {name} holds durations, not times: no order; if it is one, {remedy}"
        return Clock(name, notes=(note,))
    time = _time(tokens, where)
    moments = _groups([student, time])
    if moments < len(time) and moments == _groups([student]):
        note = f"column {name} is the same for all answers of a student: no order"
        return Clock(name, notes=(note,))
    numbers = _CALENDAR.fullmatch(tokens[0].strip()) is None and _is_number(tokens[0])
    if numbers and (given_as == "order_id" or (given_as is None and plain in _OF_AN_ANSWER)):
        return Clock(name, time, number=True, exact=True)
    if numbers and np.abs(time).max() < _EPOCH:
        exact = moments == _groups([student, time, item, answer])
    else:
        consistent = _groups([student, time, item]) == _groups([student, time, item, answer])
        exact = consistent and _has_seconds(tokens, time, numbers)
    return Clock(name, time, exact=exact)


def _has_seconds(tokens: list[str], time: np.ndarray, numbers: bool) -> bool:
    """Whether times are finer than minutes."""
    if not numbers and all(map(_CALENDAR.fullmatch, map(str.strip, tokens))):
        return any(len(token.strip()) == 14 and token.strip()[-2:] != "00" for token in tokens)
    largest = np.abs(time).max()
    minute = next((m for size, m in _MINUTES if numbers and largest >= size), 60)
    return bool((time % minute != 0).any())


def _are_durations(tokens: list[str], student: np.ndarray) -> bool:
    """Whether they are: written so, or small numbers that do not rise as a student goes on."""
    filled = [n for n, token in enumerate(tokens) if token.strip() not in table.MISSING]
    if not filled:
        return False
    if all(_DURATION.fullmatch(tokens[n].strip()) for n in filled):
        return True
    try:
        time = np.array([float(tokens[n]) for n in filled])
    except ValueError:
        return False
    if not np.isfinite(time).all() or np.abs(time).max() >= _EPOCH:
        return False
    if all(_CALENDAR.fullmatch(tokens[n].strip()) for n in filled):
        return False
    order = np.argsort(student[filled], kind="stable")
    same = np.diff(student[filled][order]) == 0
    return bool((np.diff(time[order])[same] < 0).any())


def _groups(key: list[np.ndarray]) -> int:
    """How many different rows."""
    order = np.lexsort(key)
    new = np.any([part[order][1:] != part[order][:-1] for part in key], 0)
    return int(new.sum()) + (len(order) > 0)


def _is_number(token: str) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True


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
