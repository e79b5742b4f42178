"""Eedi's tables of the NeurIPS 2020 Education Challenge, whose times and topics lie in other files.

A row of ``train_task_3_4.csv`` is an answer: ``QuestionId,UserId,AnswerId,IsCorrect,...`` (Wang et
al., arXiv:2007.12061). When it was given stands in ``answer_metadata_task_3_4.csv``, what the
question is about in ``question_metadata_task_3_4.csv``, as numbers whose names stand in
``subject_metadata.csv``. These lie beside the table, or in the folder ``metadata`` beside its own.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench.data.students.responses import table
from bench.data.students.responses.text import Text, load

_COLUMNS = {"questionid", "userid", "iscorrect"}
_LEAF = 3  # of the tree of subjects: what a question is about in particular
_NAMES = ("user_id", "item_id", "correct", "timestamp", "skill_id")


def recognised(names: list[str]) -> bool:
    """Whether a header is Eedi's."""
    return set(map(table.plain, names)) >= _COLUMNS


def with_metadata(text: Text) -> Text:
    """The table with the columns that :mod:`.long_table` reads, line by line as it was.

    Times and topics that are not there are left out, with a note. Topics are the most particular
    ones where ``subject_metadata.csv`` tells, otherwise all numbers.
    """
    names = [table.plain(name) for name in table.header(text)]
    task = re.search(r"task_\d+(_\d+)?", text.path.name)
    time = _column(text, "answer_metadata", task, "answerid", "dateanswered")
    subjects = _column(text, "question_metadata", task, "questionid", "subjectid")
    called = _leaves(text) if subjects else None
    notes = [
        f"no {what}_metadata file is beside it or in ../metadata: {lacks}"
        for what, lacks, found in (
            ("answer", "the answers' order is not known", time),
            ("question", "the questions' topics are not known", subjects),
        )
        if not found
    ]
    header = [*_NAMES[:3], *(["timestamp"] if time else []), *(["skill_id"] if subjects else [])]
    lines, first = [], True
    for number, row in enumerate(_rows(text), 1):
        if row:
            table.check_width(text, number, row, len(names))
        if first or not row:
            lines.append(",".join(header) if row else "")
            first = first and not row
            continue
        field = dict(zip(names, row))
        made = [field.get(name, "") for name in ("userid", "questionid", "iscorrect")]
        if time:
            made.append(time.get(field.get("answerid", ""), ""))
        if subjects:
            of_question = table.split_skills(subjects.get(field["questionid"], ""))
            known = [called[s] for s in of_question if s in called] if called else of_question
            made.append("~~".join(known or of_question))
        lines.append(_line(made))
    return replace(text, lines=lines, notes=[*text.notes, *notes], delimiter=",")


def _rows(text: Text) -> Iterator[list[str]]:
    """The fields of each line, so that line numbers stay what they are."""
    at = 0
    for line, row in table.rows(text):
        yield from ([] for _ in range(line - at - 1))
        at = line
        yield row if any(row) else []


def _line(fields: list[str]) -> str:
    return ",".join('"{}"'.format(field.replace('"', '""')) for field in fields)


def _find(text: Text, what: str, task: re.Match | None) -> Path | None:
    """The file of metadata that goes with a table."""
    ending = f"_{task[0]}" if task else ""
    for folder in (text.path.parent, text.path.parent.parent / "metadata"):
        for name in (f"{what}{ending}.csv", f"{what}{ending}.csv.gz"):
            if (folder / name).is_file():
                return folder / name
    return None


def _column(text: Text, what: str, task: re.Match | None, key: str, value: str) -> dict[str, str]:
    """What a file of metadata says of each key; empty if there is none."""
    path = _find(text, what, task)
    if path is None:
        return {}
    found = load(path)
    names = [table.plain(name) for name in table.header(found)]
    if not {key, value} <= set(names):
        return {}
    (keys, values), _ = table.columns(found, [names.index(key), names.index(value)])
    return {k.removesuffix(".0"): v for k, v in zip(keys, values)}


def _leaves(text: Text) -> dict[str, str]:
    """The names of the most particular subjects by their numbers."""
    level = _column(text, "subject_metadata", None, "subjectid", "level")
    name = _column(text, "subject_metadata", None, "subjectid", "name")
    return {s: name[s] for s, depth in level.items() if depth == str(_LEAF) and s in name}
