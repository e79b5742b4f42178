"""Which item asks for which skill, from a file of its own."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.base.errors import BenchError
from bench.data.students.responses import matrix, table
from bench.data.students.responses.long_table import NAMES
from bench.data.students.responses.responses import Responses, table_of
from bench.data.students.responses.text import Text, load


def apply(path: str | Path, responses: Responses, by_column: bool) -> Responses:
    """Replaces the skills of the responses by those of a file.

    The file is a matrix of 0 and 1, items by skills, with or without names; or a table with
    columns such as ``item_id,knowledge_code``, the codes as ``[3, 7]`` or ``3_7``.

    Args:
        path: of the file.
        responses: the answers.
        by_column: whether item n is row n of a matrix without names; else items must be numbers.

    Raises:
        BenchError: the file does not fit the items, or holds other things than 0 and 1.
    """
    text = load(path)
    names = [table.plain(name) for name in table.header(text)]
    column = [
        next((names.index(name) for name in NAMES[role] if name in names), None)
        for role in ("item_id", "skill_id")
    ]
    known, skills, rows, found = _matrix(text) if None in column else _table(text, column)
    notes = [*responses.notes, *(f"{text.path.name}: {note}" for note in [*text.notes, *found])]
    if known is None:
        place = _by_place(text, responses, by_column, rows.shape)
    else:
        row = {name: n for n, name in enumerate(known)}
        place = np.array([row.get(name, -1) for name in responses.items])
        lacking = np.flatnonzero(place < 0)
        if len(lacking) == len(place):
            raise BenchError(
                f"{text.path}: names none of the {len(place):,} items, such as "
                f"{responses.items[0]}: name its rows as the answers name the items"
            )
        if len(lacking):
            notes.append(
                f"{text.path.name}: has no skills of {len(lacking):,} items, "
                f"such as {responses.items[lacking[0]]}"
            )
    q_matrix = rows[place] & (place >= 0)[:, None]
    return replace(responses, skills=skills, q_matrix=q_matrix, notes=notes)


def _table(text: Text, column: list[int]):
    """Names of items, of skills, ``[items, skills]`` bool, and notes, from a row for each item."""
    (items, codes), lines = table.columns(text, column)

    def where(row: int, what: str) -> BenchError:
        return text.wrong(int(lines[row]), what)

    item, known = table.number(items, where, "item")
    skills, links, notes = table.link(item, codes, where)
    return known, skills, table_of(text.path, len(known), len(skills), links), notes


def _matrix(text: Text):
    """Names of items or None, of skills, ``[items, skills]`` bool, and notes, from 0 and 1."""
    cells = matrix.read_cells(text, "entry")
    empty = np.argwhere(np.isnan(cells.value))
    if len(empty):
        row, skill = empty[0]
        raise text.wrong(cells.lines[row], f"column {cells.columns[skill]}: no entry: write 0 or 1")
    return cells.rows, cells.columns, cells.value == 1, []


def _by_place(text: Text, responses: Responses, by_column: bool, shape: tuple) -> np.ndarray:
    """``[items]`` row of each item in a matrix without names."""
    items = len(responses.items)
    if shape[0] != items:
        turned = "turn it round" if shape[1] == items else "give it a row an item"
        raise BenchError(
            f"{text.path}: {shape[0]:,} rows x {shape[1]:,} columns do not fit "
            f"{items:,} items: {turned}, or a first column with the items' names"
        )
    if by_column:
        return np.arange(items)
    numbers = {str(n): n for n in range(items + 1)}
    place = np.array([numbers.get(name, -1) for name in responses.items])
    place -= int("0" not in responses.items)  # numbered from 1
    if sorted(place) != list(range(items)):
        raise BenchError(
            f"{text.path}: its rows have no names, and the items, such as {responses.items[-1]}, "
            f"are not numbered 1 to {items:,}: add a first column with the items' names"
        )
    return place
