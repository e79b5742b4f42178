"""What the questions are: text, choices and the right answer, from a CSV file of the teacher's."""

import csv
import unicodedata
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from bench.base.errors import BenchError
from bench.data.students.responses import table
from bench.data.students.responses.text import Text, load, shown

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

    Semicolons or tabs may stand between the columns, and the text be in Windows-1252, as in files
    of answers: programs write such where the comma is a decimal point.

    Args:
        path: the file.
        items: the questions that the model knows.

    Returns:
        The known questions by name, and what was mended or left out, in sentences.

    Raises:
        BenchError: names the line and what is wrong with it.
    """
    try:
        text = load(path)
    except BenchError as error:  # which expects answers
        said = str(error).replace("a file of answers", "a file of questions")
        raise BenchError(said.replace("export the answers", "export the questions")) from None
    # composed letters, as the file has now; a checkpoint may be of before names were composed
    known = {unicodedata.normalize("NFC", name): name for name in items}
    found, unknown = {}, []
    for line, question in _questions(text):
        if question.name in found:
            raise text.wrong(line, f"{shown(question.name)} is there twice")
        found[question.name] = question
        if question.name not in known:
            unknown.append(question.name)
    notes = [f"{path}: {note}." for note in text.notes]
    if unknown:
        near = get_close_matches(unknown[0], items, n=1) or list(items[:1])
        notes.append(
            f"{len(unknown):,} questions of {path} are unknown to the model and are left out, such "
            f"as {shown(unknown[0])} (the model knows {shown(near[0])})."
        )
    if len(found) == len(unknown):
        raise BenchError(f"{path}: no question in it is known to the model. {' '.join(notes)}")
    return {
        known[name]: question._replace(name=known[name])
        for name, question in found.items()
        if name in known
    }, notes


def _questions(text: Text) -> Iterator[tuple[int, Question]]:
    """The last line and the question of each row; a question may go over several lines.

    Raises:
        BenchError: names the line and what is wrong with it.
    """
    sign = table.delimiter(text)
    rows = csv.reader((line + "\n" for line in text.lines), delimiter=sign)
    heading = None
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            while cells and not cells[-1]:  # a spreadsheet puts a sign for each empty cell
                cells.pop()
            if not cells:
                continue
            if heading is None:
                heading = cells
                if not {"item_id", "text"} <= {*heading} <= {*COLUMNS}:
                    raise BenchError(
                        f"{text.path}: its first line is {', '.join(heading)}: write "
                        f"{','.join(COLUMNS)}, of which choices and answer may be left out"
                    )
                continue
            where = f"{text.path}, {text.unit} {rows.line_num - text.before}"
            if len(cells) > len(heading):
                raise BenchError(
                    f'{where}: more fields than the first line: put text with "{sign}" in it '
                    "between quotes"
                )
            yield rows.line_num, _question(dict(zip(heading, cells)), where)
    except csv.Error as error:
        raise text.wrong(rows.line_num, str(error)) from None


def _question(row: dict[str, str], where: str) -> Question:
    name, text, choices, answer = (row.get(name, "") for name in COLUMNS)
    several = tuple(c.strip() for c in choices.split("|")) if choices else ()
    if not name or not text:
        raise BenchError(f"{where}: a question needs item_id and text")
    question = Question(name, text, several, answer)
    if several and (len({*several}) < max(len(several), 2) or not all(several)):
        raise BenchError(f"{where}: give two or more different choices, with bars between them")
    if several and sum(map(question.right, several)) != 1:
        raise BenchError(f"{where}: the answer {shown(answer)} must be one of the choices")
    return question
