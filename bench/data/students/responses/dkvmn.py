"""Lines of comma-separated numbers, three or four for a student.

DKVMN's three lines are the number of answers, skill ids, answers; AKT's four are
``index,student``, question ids, skill ids, answers. Some lines end in a comma.
"""

import re

import numpy as np

from bench.data.students.responses import table
from bench.data.students.responses.responses import Responses, build
from bench.data.students.responses.text import Text, shown


def recognised(text: Text) -> bool:
    """Whether the file has three or four lines a student."""
    lines = [line for _, line in zip(range(4), _lines(text))]
    first = lines[0][1]
    if re.fullmatch(r"-?\d+", first):
        return True
    bits = all(re.fullmatch(r"[01]?,[01]?", line) for _, line in lines)  # a matrix of two items
    return bool(re.fullmatch(r"\d+,\d+", first)) and not bits


def read(text: Text) -> Responses:
    """Reads either form.

    Raises:
        BenchError: a student's lines disagree in length, some are missing, or an id or an answer
            is none.
    """
    lines = list(_lines(text))
    four = "," in lines[0][1]
    students, lengths, rows = _students(text, lines, four)

    def column(k: int) -> list[str]:
        return ",".join(row[k][1] for row in rows).split(",") if rows else []

    ends = np.cumsum([length for length in lengths if length])

    def where(k: int, what: str):
        def error(index: int, wrong: str):
            student = int(np.searchsorted(ends, index, "right"))
            entry = index - (int(ends[student - 1]) if student else 0) + 1
            return text.wrong(rows[student][k][0], f"entry {entry} ({what}): {wrong}")

        return error

    what = "question" if four else "skill"
    tokens = column(0)
    item, items = table.number(tokens, where(0, what), f"{what} id")
    for name in items:
        if not (name.isascii() and name.isdecimal()):
            index = int((item == items.index(name)).argmax())
            raise where(0, what)(index, f"{what} id {shown(name)} is no number: number them")
    skills, links, notes = table.link(item, column(1), where(1, "skill")) if four else (None,) * 3
    return build(
        text.path,
        students,
        np.repeat(np.arange(len(students)), lengths),
        items,
        item,
        table.zeros_and_ones(column(2 if four else 1), where(2 if four else 1, "answer")),
        skills,
        links,
        order="the order of the entries",
        notes=[*text.notes, *(notes or [])],
    )


def _students(text: Text, lines: list[tuple[int, str]], four: bool):
    """Names, numbers of answers, and of those with answers the lines below the first."""
    names, lengths, rows = [], [], []
    at, size = 0, 4 if four else 3
    while at < len(lines):
        line, head = lines[at]
        names.append(_name(text, line, head) if four else "")
        follow = lines[at + 1 : at + size]
        if _nothing(four, head, line, follow, len(text.lines)):
            lengths.append(0)
            at += 1
            continue
        if len(follow) < size - 1:
            raise text.wrong(
                line,
                f"the last student has {len(follow) + 1} of {size} lines: get the whole file",
            )
        counts = [row.count(",") + 1 for _, row in follow]
        length = counts[0] if four else _length(text, line, head)
        for (number, _), count in zip(follow, counts):
            if count != length:
                said = f"line {follow[0][0]} has {length}" if four else f"line {line} says {length}"
                raise text.wrong(number, f"{count} entries, but {said}: mend or drop this student")
        lengths.append(length)
        rows.append(follow)
        at += size
    return names, lengths, rows


def _lines(text: Text):
    """Line number and line, without blanks and the comma that may end it."""
    return (
        (n, line.replace(", ", ",").replace(" ,", ",").strip(" \t").rstrip(","))
        for n, line in text.filled()
    )


def _nothing(four: bool, head: str, line: int, follow: list, lines: int) -> bool:
    """Whether the student has no answers: the count says so, or the next lines are blank."""
    if not four:
        return re.fullmatch("0+", head) is not None
    return (follow[0][0] if follow else lines + 1) - line > 3


def _name(text: Text, line: int, head: str) -> str:
    if not re.fullmatch(r"\d+,\d+", head, re.ASCII):
        raise text.wrong(
            line, f"{shown(head)} instead of `index,student`: each student has 4 lines"
        )
    return head.split(",")[1]


def _length(text: Text, line: int, head: str) -> int:
    if not re.fullmatch(r"\d{1,9}", head, re.ASCII):
        raise text.wrong(
            line, f"{shown(head)} instead of a number of answers: each student has 3 lines"
        )
    return int(head)
