"""A dense table of numbers: students by items, or, as a Q-matrix, items by skills."""

from itertools import islice
from typing import NamedTuple

import numpy as np

from bench.base.errors import BenchError
from bench.data.students.responses import table
from bench.data.students.responses.long_table import NAMES
from bench.data.students.responses.responses import Responses, build
from bench.data.students.responses.text import Text, shown

_NAME_COLUMN = {"", "id", "name", "#", *NAMES["user_id"], *NAMES["item_id"]}


class Cells(NamedTuple):
    """A table of 0, 1 and missing values.

    Attributes:
        rows: their names, or None.
        columns: their names; ``1``, ``2``, ... if the file has none.
        value: ``[rows, columns]`` float64, 0, 1 or NaN.
        lines: ``[rows]`` line numbers.
    """

    rows: list[str] | None
    columns: list[str]
    value: np.ndarray
    lines: tuple[int, ...]


def recognised(text: Text) -> bool:
    """Whether one of the first two rows has several cells and, but for a name, 0 and 1 only."""
    rows = [line.split(table.delimiter(line))[1:] for _, line in islice(text.filled(), 2)]
    return any(row and not any(table.mark(cell) is None for cell in row) for row in rows)


def read(text: Text) -> Responses:
    """Reads students by items; an empty cell or NA is an item not seen.

    Raises:
        BenchError: a row is too short or too long, or a cell is not 0, 1 or missing.
    """
    cells = read_cells(text, "answer")
    student, item = np.nonzero(~np.isnan(cells.value))
    return build(
        text.path,
        cells.rows or [""] * len(cells.value),
        student,
        cells.columns,
        item,
        cells.value[student, item],
        [],
        np.zeros((0, 2), np.int64),
        ordered=False,
        notes=text.notes,
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
        wrong = wrong.replace("answer", what) + (
            "; answers one a line need a header of user_id,item_id,correct" * (what == "answer")
        )
        return text.wrong(lines[row], f"column {columns[column]}: {wrong}")

    value = table.marks(flat, where) if columns else np.zeros(0)
    partial = (value > 0) & (value < 1)
    if partial.any():
        at = int(partial.argmax())
        raise where(at, f"answer {shown(flat[at])} is neither 0 nor 1: {table.REMEDY}")
    value = value.reshape(len(rows), len(columns))
    if not (names and names[-1]) and len(columns) > 1 and np.isnan(value[:, -1]).all():
        value, columns = value[:, :-1], columns[:-1]  # a comma at the end of each line
    twice = len(columns) - len(set(columns))
    if twice:
        raise BenchError(f"{text.path}, header: {twice} names of columns occur twice: rename them")
    return Cells([row[0].strip() for row in rows] if named else None, columns, value, lines)


def _is_header(row: list[str]) -> bool:
    """Whether the first row has names: words all of them, or 1, 2, 3, ..."""
    rest = [cell for cell in row[1:] if cell.strip()]
    if rest and all(table.mark(cell) is None for cell in rest):
        return True
    numbers = [str(n) for n in range(len(row) + 1)]
    row = [cell.strip() for cell in row]
    if not row[0] or table.mark(row[0]) is None:
        row = row[1:]
    return row in (numbers[: len(row)], numbers[1:][: len(row)]) and not _are_answers(row)


def _names_first(cells: list[str], names: list[str] | None) -> bool:
    """Whether the first column has names: its header says so, or all are different."""
    if names and names[0].lower() in _NAME_COLUMN:
        return True
    return len({cell.strip() for cell in cells}) == len(cells) and not _are_answers(cells)


def _are_answers(cells: list[str]) -> bool:
    marks = map(table.mark, cells)
    return all(mark is not None and (mark in (0, 1) or mark != mark) for mark in marks)
