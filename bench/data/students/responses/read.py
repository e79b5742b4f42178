"""Finds out what format a file of answers has, and reads it."""

import os
from collections.abc import Iterable
from pathlib import Path

from bench.base.errors import BenchError
from bench.data.students.responses import division, dkvmn, eedi, long_table, matrix, pykt, table
from bench.data.students.responses.q_matrix import apply
from bench.data.students.responses.responses import Responses, join
from bench.data.students.responses.text import Text, load, shown

Source = str | os.PathLike | Iterable[str | os.PathLike]


def read(
    source: Source,
    columns: dict[str, str] | None = None,
    q_matrix: str | os.PathLike | None = None,
    by_answer: bool = False,
) -> Responses:
    """Reads answers of students from files, plain or gzipped, whose format their content tells.

    The formats are DKVMN's three and AKT's four lines a student, tables with a row for each answer
    (ASSISTments 2009 and 2015, the Item Response Warehouse's and Eedi's among them), pyKT's table,
    and a matrix of students by items. Tables may be text, Excel sheets, Parquet files or JSON.

    Args:
        source: a file, or several, whose students follow one another.
        columns: names of columns of a table with a row for each answer, where they are unusual:
            ``{"user_id": "learner", "item_id": "exercise", "correct": "right"}``; also
            ``skill_id``, ``split``, and ``order_id`` or ``timestamp``.
        q_matrix: a file that says which item asks for which skill: a matrix of 0 and 1, items by
            skills, or a table such as ``item_id,knowledge_code``.
        by_answer: whether the answers of each student are divided into training, validation and
            test, by a column ``split`` or into files whose names say so.

    Raises:
        BenchError: names file, line and column of what cannot be read, and the remedy.
    """
    paths = [source] if isinstance(source, str | os.PathLike) else list(source)
    paths = [Path(path).expanduser() for path in paths]
    if not paths:
        raise BenchError("no file of answers is given: name at least one")
    parts, matrices = [], True
    for path in paths:
        text = load(path)
        reader = _reader(text, columns)
        matrices &= reader is matrix
        if reader is long_table and not columns and eedi.recognised(table.header(text)):
            text = eedi.with_metadata(text)
        parts.append(reader.read(text, columns) if reader is long_table else reader.read(text))
    if len({path.resolve() for path in paths}) < len(paths):
        raise BenchError(f"{', '.join(map(str, paths))}: one of them is given twice: give it once")
    responses = join(paths, parts, by_answer)
    if by_answer:
        responses = division.of_files(paths, responses)
    return responses if q_matrix is None else apply(q_matrix, responses, matrices)


def _reader(text: Text, columns: dict[str, str] | None):
    """The module that reads the format."""
    names = table.header(text)
    if columns:
        return long_table
    if dkvmn.recognised(text):
        return dkvmn
    if pykt.recognised(names):
        return pykt
    if long_table.recognised(names) or eedi.recognised(names):
        return long_table
    if matrix.recognised(text):
        return matrix
    if long_table.resembled(names):
        return long_table  # which says what is missing
    raise BenchError(
        f"{text.path}: {shown(', '.join(names))} begins none of the known formats: a table with "
        "user_id,item_id,correct, DKVMN's 3 or AKT's 4 lines a student, pyKT's "
        "fold,uid,concepts,responses, or a matrix of 0 and 1, students by items"
    )
