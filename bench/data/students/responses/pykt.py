"""pyKT's table: a row for each student, or part of one, with quoted lists padded with -1."""

import re
from itertools import compress

import numpy as np

from bench.data.students.responses import table
from bench.data.students.responses.responses import Responses, build
from bench.data.students.responses.text import Text, shown

_LISTS = ("responses", "questions", "concepts", "selectmasks", "is_repeat")
_NOTHING = {"", "NA", "-1"}


def recognised(names: list[str]) -> bool:
    """Whether a header is pyKT's."""
    return "responses" in names and bool({"questions", "concepts"} & set(names))


def read(text: Text) -> Responses:
    """Reads the table.

    Rows of the same fold and uid are one student's, cut for their length. Answers that pyKT
    repeats, once a concept (``is_repeat``) or as context of a window (``selectmasks``), count once.

    Raises:
        BenchError: a row's lists disagree in length, or an id, an answer or a fold is none.
    """
    names = table.header(text)
    here = [name for name in ("fold", "uid", *_LISTS) if name in names]
    fields, lines = table.columns(text, [names.index(name) for name in here])
    field = dict(zip(here, fields))
    lists = {name: _lists(field[name]) for name in _LISTS if name in field}
    # Sets that know no questions, or no concepts, have a column of nothing.
    lists = {name: cells for name, cells in lists.items() if _filled(cells)}
    if "responses" not in lists or not {"questions", "concepts"} & set(lists):
        raise text.wrong(
            int(lines[0]), "no row has responses to questions or concepts: give a filled file"
        )
    lengths = np.array([_length(cell) for cell in lists["responses"]])
    for name, cells in lists.items():
        for line, length, cell in zip(lines, lengths, cells):
            if _length(cell) != length:
                raise text.wrong(
                    int(line),
                    f"column {name}: {_length(cell)} entries, but {length} responses: "
                    "mend or drop this row",
                )
    token = {name: ",".join(filter(None, cells)).split(",") for name, cells in lists.items()}

    notes = list(text.notes)
    real = np.array([response != "-1" for response in token["responses"]])
    if "selectmasks" in token:
        chosen = np.array([mask != "-1" for mask in token["selectmasks"]])
        if (real & ~chosen).any():
            notes.append(f"dropped {(real & ~chosen).sum():,} answers that are a window's context")
        real &= chosen
    token = {name: list(compress(found, real)) for name, found in token.items()}
    at = np.flatnonzero(real)
    row = np.repeat(np.arange(len(lines)), lengths)[at]
    entry = at - (np.cumsum(lengths) - lengths)[row] + 1

    def where(name: str):
        return lambda n, what: text.wrong(
            int(lines[row[n]]), f"column {name}, entry {entry[n]}: {what}"
        )

    what = "questions" if "questions" in token else "concepts"
    item, items = table.number(token[what], where(what), f"{what[:-1]} id")
    concepts = token.get("concepts", [""] * len(item))
    skills, links, of_skills = table.link(item, concepts, where("concepts"))
    notes += of_skills
    answer = table.zeros_and_ones(token["responses"], where("responses"))
    students, student, fold = _students(text, field, lines)
    if len(students) < len(lines):
        notes.append(f"joined {len(lines):,} rows into {len(students):,} students")
    kept = np.argsort(student[row], kind="stable")
    if "questions" in token and "is_repeat" in token:
        once = np.array([repeat != "1" for repeat in token["is_repeat"]])[kept]
        if not once.all():
            notes.append(f"dropped {(~once).sum():,} repeated entries of multi-skill items")
        kept = kept[once]
    return build(
        text.path,
        students,
        student[row][kept],
        items,
        item[kept],
        answer[kept],
        skills,
        links,
        order="the order of the entries",
        notes=notes,
        fold=fold,
    )


def _lists(cells) -> list[str]:
    return [cell.replace(" ", "").strip("[],") for cell in cells]


def _length(cell: str) -> int:
    return cell.count(",") + 1 if cell else 0


def _filled(cells: list[str]) -> bool:
    return any(not _NOTHING.issuperset(cell.split(",")) for cell in cells)


def _students(text: Text, field: dict, lines: np.ndarray):
    """Names of the students, ``[rows]`` which it is, and ``[students]`` fold or None."""
    folds = field.get("fold")
    for line, fold in zip(lines, folds or ()):
        if not re.fullmatch(r"-?\d{1,9}", fold.strip(), re.ASCII):
            raise text.wrong(
                int(line), f"column fold: {shown(fold)} is no number: number the folds"
            )
    fold = np.array([int(fold) for fold in folds]) if folds else np.zeros(len(lines), np.int64)
    if "uid" not in field:
        return [""] * len(lines), np.arange(len(lines)), fold if folds else None
    uid, names = table.number(
        field["uid"], lambda n, what: text.wrong(int(lines[n]), f"column uid: {what}"), "student"
    )
    pairs, student = np.unique(np.stack([uid, fold], 1), axis=0, return_inverse=True)
    return [names[u] for u in pairs[:, 0]], student.reshape(-1), pairs[:, 1] if folds else None
