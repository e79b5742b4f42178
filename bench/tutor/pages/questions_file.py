"""What the questions are: text, choices and the right answer, from a CSV file of the teacher's."""

import csv
import io
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from bench.base import regular_files
from bench.base.errors import BenchError
from bench.data.students.responses.text import shown

MOST_BYTES = 2**24
COLUMNS = ("item_id", "text", "choices", "answer")


class Question(NamedTuple):
    """A question as a pupil sees it.

    Attributes:
        name: as the model calls it.
        text: what is asked; the name where nothing is known.
        choices: to choose from; empty: the answer is written, or known to the pupil alone.
        answer: the right one; empty: the pupil says whether it was right.
    """

    name: str
    text: str
    choices: tuple[str, ...] = ()
    answer: str = ""

    def right(self, given: str) -> bool:
        """Whether an answer is right: capitals and blanks make no difference."""
        return " ".join(given.split()).casefold() == " ".join(self.answer.split()).casefold()


def read(path: Path, items: Sequence[str]) -> tuple[dict[str, Question], list[str]]:
    """Reads ``item_id,text[,choices][,answer]``, choices with bars between them: ``1/2|2/3|3/4``.

    Args:
        path: the file, in UTF-8.
        items: the questions that the model knows.

    Returns:
        The known questions by name, and what was left out, in sentences.

    Raises:
        BenchError: names the line and what is wrong with it.
    """
    try:
        text = regular_files.read_text(path, MOST_BYTES).removeprefix("\ufeff")
    except OSError as error:
        raise BenchError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise BenchError(f"{path}: not in UTF-8: save it so") from None
    rows = csv.DictReader(io.StringIO(text, newline=""), restval="")
    heading = [name.strip() for name in rows.fieldnames or []]
    if not {"item_id", "text"} <= {*heading} or not {*heading} <= {*COLUMNS}:
        raise BenchError(
            f"{path}: its first line is {', '.join(heading)}: write {','.join(COLUMNS)}, of which "
            "choices and answer may be left out"
        )
    rows.fieldnames = heading
    known, found, unknown = {*items}, {}, []
    try:
        for row in rows:
            question = _question(row, f"{path}, line {rows.line_num}")
            if question.name in found:
                raise BenchError(
                    f"{path}, line {rows.line_num}: {shown(question.name)} is there twice"
                )
            found[question.name] = question
            if question.name not in known:
                unknown.append(question.name)
    except csv.Error as error:
        raise BenchError(f"{path}, line {rows.line_num}: {error}") from None
    notes = []
    if unknown:
        near = get_close_matches(unknown[0], items, n=1) or list(items[:1])
        notes.append(
            f"{len(unknown):,} questions of {path} are unknown to the model and are left out, such "
            f"as {shown(unknown[0])} (the model knows {shown(near[0])})."
        )
    if len(found) == len(unknown):
        raise BenchError(f"{path}: no question in it is known to the model. {' '.join(notes)}")
    return {name: question for name, question in found.items() if name in known}, notes


def _question(row: dict, where: str) -> Question:
    if None in row:
        raise BenchError(f'{where}: more fields than the first line: put text with commas in "..."')
    name, text, choices, answer = (row.get(name, "").strip() for name in COLUMNS)
    several = tuple(c.strip() for c in choices.split("|")) if choices else ()
    if not name or not text:
        raise BenchError(f"{where}: a question needs item_id and text")
    question = Question(name, text, several, answer)
    if several and (len({*several}) < max(len(several), 2) or not all(several)):
        raise BenchError(f"{where}: give two or more different choices, with bars between them")
    if several and sum(map(question.right, several)) != 1:
        raise BenchError(f"{where}: the answer {shown(answer)} must be one of the choices")
    return question
