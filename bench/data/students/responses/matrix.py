"""A dense table of numbers: students by items or, as a Q-matrix, items by skills."""

import math
import re
from collections import Counter
from itertools import islice
from typing import NamedTuple

import numpy as np

from bench.base.errors import BenchError
from bench.data.students.responses import table
from bench.data.students.responses.long_table import NAMES
from bench.data.students.responses.responses import Responses, build
from bench.data.students.responses.text import Text, shown

_ITEM = {*NAMES["item_id"], "items", "questions", "problem", "exercise", "task"}
_NAME_COLUMN = {"", "id", "name", "names", "pupil", "learner", "#", *NAMES["user_id"], *_ITEM}
_QUESTION = re.compile(r"(q|i|item|question|problem|task|exercise)[\s._-]*\d+\w?", re.IGNORECASE)
_LOOKED_AT = 20  # rows from which a matrix is recognised
_DIFFERENT = 5  # signs that are used for answers, at most, where they are not 0 and 1


class Cells(NamedTuple):
    """A table of 0, 1 and missing values.

    Attributes:
        corner: what stands above the names of the rows, lower case; empty if nothing does.
        rows: their names, or None.
        columns: their names; ``1``, ``2``, ... if the file has none.
        value: ``[rows, columns]`` float64, 0, 1 or NaN.
        lines: ``[rows]`` line numbers.
    """

    corner: str
    rows: list[str] | None
    columns: list[str]
    value: np.ndarray
    lines: tuple[int, ...]


def recognised(text: Text) -> bool:
    """Whether the first rows are numbers but for a name, or look like a matrix with odd signs.

    So they do where most cells are 0, 1 or missing; or, below a name for students, where the same
    few signs stand in several columns.
    """
    found = list(islice((row for _, row in table.rows(text) if any(row)), _LOOKED_AT))
    if any(row[1:] and not any(table.mark(cell) is None for cell in row[1:]) for row in found[:2]):
        return True
    names, cells = found[0], [row[1:] for row in found[1:]]
    if len(names) < 3 or not cells:
        return False
    marks = [table.mark(cell) for row in cells for cell in row]
    sure = sum(mark in (0, 1) for mark in marks)
    missing = sum(mark is not None and math.isnan(mark) for mark in marks)
    if sure and 2 * (sure + missing) > len(marks):
        return True
    signs = Counter(sign for column in zip(*cells) for sign in set(column) - {""})
    several = any(count > 1 for count in signs.values())
    return table.plain(names[0]) in _NAME_COLUMN and several and len(signs) <= _DIFFERENT


def read(text: Text) -> Responses:
    """Reads students by items, or items by students; an empty cell or NA is an item not seen.

    The rows are items where the header calls them so, or where they and not the columns are called
    Q1, Q2, ...

    Raises:
        BenchError: a row is too short or too long, or a cell is not 0, 1 or missing.
    """
    cells, notes = read_cells(text, "answer"), text.notes
    rows, columns, value = cells.rows, cells.columns, cells.value
    alone = rows and _are_questions(rows) and not _are_questions(columns)
    if rows and (cells.corner in _ITEM or alone):
        notes = [*notes, "the rows are items and the columns students: turned round"]
        rows, columns, value = columns, rows, value.T
        _refuse_twice(text, columns, "items")
    student, item = np.nonzero(~np.isnan(value))
    return build(
        text.path,
        rows or [""] * len(value),
        student,
        columns,
        item,
        value[student, item],
        [],
        np.zeros((0, 2), np.int64),
        order="",
        notes=notes,
    )


def read_cells(text: Text, what: str) -> Cells:
    """Reads the table, with or without a header and a first column of names.

    Args:
        text: the file.
        what: the numbers mean, for messages.
    """
    lines, rows = zip(*((line, row) for line, row in table.rows(text) if row))
    names = [name.strip() for name in rows[0]] if _is_header(rows[0]) else None
    if names:
        rows, lines = rows[1:], lines[1:]
    if not rows:
        raise BenchError(f"{text.path}: has a header, but no rows: give a file of answers")
    width = len(rows[0])
    if names and len(names) == width - 1:  # as R writes it
        names = ["", *names]
    for line, row in zip(lines, rows):
        if len(row) != (len(names) if names else width):
            raise text.wrong(
                line,
                f"{len(row)} fields, but {len(names) if names else width} in "
                f"{'the header' if names else f'line {lines[0]}'}: "
                "leave a cell empty where there is nothing",
            )
    named = _names_first([row[0] for row in rows], names)
    columns = [name or str(n) for n, name in enumerate((names or [""] * width)[named:], 1)]
    flat = [cell for row in rows for cell in row[named:]]

    def where(n: int, wrong: str) -> BenchError:
        row, column = divmod(n, len(columns))
        if what != "answer":
            wrong = wrong.replace(table.REMEDY, "write 0 or 1").replace("answer", what)
        elif not names:
            wrong += "; answers one a line need a header of user_id,item_id,correct"
        return text.wrong(lines[row], f"column {columns[column]}: {wrong}")

    value = table.marks(flat, where) if columns else np.zeros(0)
    partial = (value > 0) & (value < 1)
    if partial.any():
        at = int(partial.argmax())
        raise where(at, f"answer {shown(flat[at])} is neither 0 nor 1: {table.REMEDY}")
    value = value.reshape(len(rows), len(columns))
    if not (names and names[-1]) and len(columns) > 1 and np.isnan(value[:, -1]).all():
        value, columns = value[:, :-1], columns[:-1]  # a comma at the end of each line
    _refuse_twice(text, columns, "columns")
    corner = table.plain(names[0]) if names and named else ""
    return Cells(corner, [row[0].strip() for row in rows] if named else None, columns, value, lines)


def _refuse_twice(text: Text, names: list[str], what: str) -> None:
    """Refuses names that occur twice."""
    twice = len(names) - len(set(names))
    if twice:
        raise BenchError(f"{text.path}, header: {twice} names of {what} occur twice: rename them")


def _is_header(row: list[str]) -> bool:
    """Whether the first row has names: above names, or words all of them, or 1, 2, 3, ..."""
    row = [cell.strip() for cell in row]
    rest = [cell for cell in row[1:] if cell]
    if row[0] and table.plain(row[0]) in _NAME_COLUMN and not (rest and _are_answers(rest)):
        return True
    if rest and all(table.is_word(cell) for cell in rest):
        return True
    numbers = [str(n) for n in range(len(row) + 1)]
    if not row[0] or table.mark(row[0]) is None:
        row = row[1:]
    return row in (numbers[: len(row)], numbers[1:][: len(row)]) and not _are_answers(row)


def _names_first(cells: list[str], names: list[str] | None) -> bool:
    """Whether the first column has names: its header says so, or all are different."""
    if names and table.plain(names[0]) in _NAME_COLUMN:
        return True
    return len({cell.strip() for cell in cells}) == len(cells) and not _are_answers(cells)


def _are_answers(cells: list[str]) -> bool:
    marks = map(table.mark, cells)
    return all(mark is not None and (mark in (0, 1) or mark != mark) for mark in marks)


def _are_questions(names: list[str]) -> bool:
    """Whether all are called as questions often are: Q1, Q2, ... or Item 1, Item 2, ..."""
    return all(_QUESTION.fullmatch(name) for name in names)
