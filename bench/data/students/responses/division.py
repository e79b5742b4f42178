"""Answers that are published divided: some of a student's for training, others to be predicted."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.base.errors import BenchError
from bench.data.students.responses.responses import Responses

PARTS = ("train", "val", "test")
_WORDS = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "dev": 1}
_WORDS |= {"test": 2, "testing": 2}


def of_column(cells: Iterable[str]) -> np.ndarray | None:
    """``[n]`` int8 number in :data:`PARTS` of each cell; None if the column says other things.

    >>> of_column(["train", "Valid", "test"]), of_column(["A", "B"])
    (array([0, 1, 2], dtype=int8), None)
    """
    cells = [cell.strip().lower() for cell in cells]
    if not _WORDS.keys() >= set(cells):
        return None
    return np.fromiter(map(_WORDS.__getitem__, cells), np.int8, len(cells))


def of_name(path: Path) -> int | None:
    """The number in :data:`PARTS` of a file; None if its name does not say one.

    >>> of_name(Path("a0910_valid.csv.gz")), of_name(Path("trained.csv"))
    (1, None)
    """
    said = {_WORDS[word] for word in re.findall("[a-z]+", path.name.lower()) if word in _WORDS}
    return said.pop() if len(said) == 1 else None


def of_names(paths: Sequence[Path]) -> list[int] | None:
    """The numbers in :data:`PARTS` of files that are training, test and perhaps validation.

    >>> of_names([Path("train.csv"), Path("test.csv")]), of_names([Path("train.csv")])
    ([0, 2], None)
    """
    said = [of_name(path) for path in paths]
    whole = None not in said and len(set(said)) == len(said) and {0, 2} <= set(said)
    return said if whole else None


def of_files(paths: list[Path], responses: Responses) -> Responses:
    """The same answers, with the students of a name in several files as one.

    A student's answers are those of the training file, of validation, of test. Whether the answers
    of one file came before those of another is not known. Files that share no student are left as
    they are.

    Args:
        paths: the files.
        responses: what was read from them.

    Raises:
        BenchError: neither a column nor the files' names say what each answer is for.
    """
    names, split = list(dict.fromkeys(responses.students)), responses.split
    if split is None and len(paths) > 1 and len(names) == len(responses.students):
        return responses  # these files divide students
    if split is None:
        said = of_names(paths)
        if said is None:
            raise BenchError(
                f"{', '.join(path.name for path in paths)}: which answers are for training, "
                "validation and test is not said: give a table a column split that says train, "
                "valid or test in each row, or give files whose names say train, valid and test"
            )
        split = np.repeat(np.array(said, np.int8)[responses.file], np.diff(responses.starts))
    place = {name: number for number, name in enumerate(names)}
    of_student = np.array([place[name] for name in responses.students])
    student = np.repeat(of_student, np.diff(responses.starts))
    # a column divides answers whose order is known; files say nothing of each other's
    order = np.lexsort((student,) if len(paths) == 1 else (split, student))
    return replace(
        responses,
        students=names,
        starts=np.concatenate([[0], np.bincount(student).cumsum()]),
        item=responses.item[order],
        answer=responses.answer[order],
        split=split[order],
        ordered=responses.ordered and len(paths) == 1,
        fold=None,
        file=np.zeros(len(names), np.int64),
    )
