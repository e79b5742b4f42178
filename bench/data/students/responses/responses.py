"""Answers of real students: the one structure that every file format becomes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.base.errors import BenchError

MOST_CELLS = 2**28  # of a Q-matrix, a byte each


@dataclass(frozen=True, eq=False)
class Responses:
    """Answers of many students, one entry an answer, each student's in the order of time.

    Attributes:
        students: names, as in the file or the running number over all files.
        items: names.
        skills: names; empty where the file knows none.
        starts: ``[students + 1]`` int64; student s gave the answers ``starts[s]:starts[s + 1]``,
            at least one.
        item: ``[answers]`` int64, number in ``items``.
        answer: ``[answers]`` int8, 0 wrong or 1 right.
        q_matrix: ``[items, skills]`` bool, whether the item asks for the skill. Where a file has
            skill ids only, the skills are the items.
        ordered: whether the order is known to be time; not so in a matrix.
        fold: ``[students]`` int64, where the file says so (pyKT).
        file: ``[students]`` int64, which of the given files.
        notes: what was dropped or mended, in words with counts.
        order: what tells the order, such as a column; empty where nothing does.
        split: ``[answers]`` int8, 0 for training, 1 for validation, 2 for test, where the files
            divide the answers of a student.
        columns: which column was taken for what, in words; empty where none has a name.
    """

    students: list[str]
    items: list[str]
    skills: list[str]
    starts: np.ndarray
    item: np.ndarray
    answer: np.ndarray
    q_matrix: np.ndarray
    ordered: bool
    fold: np.ndarray | None
    file: np.ndarray
    notes: list[str]
    order: str = ""
    split: np.ndarray | None = None
    columns: str = ""

    def sentences(self) -> list[str]:
        """What was read, for those who work with it: counts, order, and what was dropped or mended.

        >>> read("class.csv").sentences()  # doctest: +SKIP
        ['25 students, 20 items, 4 skills, 500 answers (56 % right).', 'Order: column timestamp.']
        """
        counts = [
            f"{len(found):,} {what if len(found) != 1 else what[:-1]}"
            for found, what in (
                (self.students, "students"),
                (self.items, "items"),
                (self.skills, "skills"),
                (self.answer, "answers"),
            )
        ]
        order = self.order if self.ordered else "not known"
        return [
            f"{', '.join(counts)} ({self.answer.mean():.0%} right).",
            f"Order: {order or 'as it is in the file'}.",
            *(f"{note[:1].upper()}{note[1:]}." for note in self.notes),
        ]

    def select(self, students: Iterable[int] | np.ndarray) -> "Responses":
        """Some of the students, in the order given; items and skills keep their numbers.

        Args:
            students: ``[selected]`` numbers of students, or ``[students]`` bool.
        """
        students = np.asarray(students)
        students = np.flatnonzero(students) if students.dtype == bool else students.astype(int)
        lengths = np.diff(self.starts)[students]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        # Each student's answers are moved from where they were to where they are now.
        where = np.repeat(self.starts[students] - starts[:-1], lengths) + np.arange(starts[-1])
        return replace(
            self,
            students=[self.students[s] for s in students],
            starts=starts,
            item=self.item[where],
            answer=self.answer[where],
            fold=None if self.fold is None else self.fold[students],
            file=self.file[students],
            split=None if self.split is None else self.split[where],
        )


def build(
    path: Path,
    students: list[str],
    student: np.ndarray,
    items: list[str],
    item: np.ndarray,
    answer: np.ndarray,
    skills: list[str] | None,
    links: np.ndarray | None,
    *,
    order: str,
    notes: list[str],
    fold: np.ndarray | None = None,
    split: np.ndarray | None = None,
) -> Responses:
    """What a reader found in one file, as Responses.

    Args:
        path: of the file, for messages.
        students: names; an empty one becomes the running number in `join`.
        student: ``[answers]`` number in ``students``, ascending.
        items: names.
        item: ``[answers]`` number in ``items``.
        answer: ``[answers]`` 0 or 1.
        skills: names; None if the items are skills.
        links: ``[links, 2]`` numbers of an item and of a skill it asks for; None as above.
        order: what tells the order of time; empty where nothing does.
        notes: what was dropped or mended.
        fold: ``[students]``.
        split: ``[answers]``.

    Raises:
        BenchError: there are no answers, or more items and skills than a table can hold.
    """
    if not len(answer):
        why = f" ({'; '.join(notes)})" if notes else ""
        raise BenchError(f"{path}: no answers are left{why}: give a file that has some")
    lengths = np.bincount(student, minlength=len(students))
    has = np.flatnonzero(lengths)
    if len(has) < len(students):
        notes = [*notes, f"dropped {len(students) - len(has):,} students without answers"]
    if links is None:
        skills, links = items, np.repeat(np.arange(len(items)), 2).reshape(-1, 2)
        if len(items) ** 2 > MOST_CELLS:
            notes = [*notes, f"took the {len(items):,} ids for items: too many to be skills"]
            skills, links = [], np.zeros((0, 2), np.int64)
    return Responses(
        students=[students[s] for s in has],
        items=items,
        skills=skills,
        starts=np.concatenate([[0], np.cumsum(lengths[has])]),
        item=item.astype(np.int64),
        answer=answer.astype(np.int8),
        q_matrix=table_of(path, len(items), len(skills), links),
        ordered=bool(order),
        fold=None if fold is None else fold[has].astype(np.int64),
        file=np.zeros(len(has), np.int64),
        notes=notes,
        order=order,
        split=split,
    )


def table_of(path: Path, items: int, skills: int, links: np.ndarray) -> np.ndarray:
    """The Q-matrix ``[items, skills]`` that is true at ``links`` ``[links, 2]``."""
    if items * skills > MOST_CELLS:
        raise BenchError(
            f"{path}: {items:,} items times {skills:,} skills is too large a Q-matrix: "
            "is the skill column the right one?"
        )
    q_matrix = np.zeros((items, skills), bool)
    q_matrix[links[:, 0], links[:, 1]] = True
    return q_matrix


def join(paths: list[Path], parts: list[Responses], same: bool = False) -> Responses:
    """The students of several files, one file after the other; items and skills go by name.

    Args:
        paths: of the files.
        parts: what was read from each.
        same: whether students of one name in several files are known to be one.
    """
    items = list(dict.fromkeys(name for part in parts for name in part.items))
    skills = list(dict.fromkeys(name for part in parts for name in part.skills))
    item_number = {name: number for number, name in enumerate(items)}
    skill_number = {name: number for number, name in enumerate(skills)}
    item, links = [], []
    for part in parts:
        here = np.array([item_number[name] for name in part.items], np.int64)
        skill = np.array([skill_number[name] for name in part.skills], np.int64)
        item.append(here[part.item])
        of_item, of_skill = np.nonzero(part.q_matrix)
        links.append(np.stack([here[of_item], skill[of_skill]], 1))
    students = [name for part in parts for name in part.students]
    lengths = np.concatenate([np.diff(part.starts) for part in parts])
    folds, splits = ([getattr(part, name) for part in parts] for name in ("fold", "split"))
    of_all = set.intersection(*(set(part.notes) for part in parts))
    notes = [note for note in parts[0].notes if note in of_all]
    notes += [
        f"{path.name}: {note}"
        for path, part in zip(paths, parts)
        for note in part.notes
        if note not in of_all
    ]
    files = Counter(name for part in parts for name in set(part.students) - {""})
    again = sum(count > 1 for count in files.values())
    if again:
        taken = "taken for the same" if same else "counted as another one in each"
        notes.append(f"{again:,} students are in several files: {taken}")
    return Responses(
        students=[name or str(number) for number, name in enumerate(students, 1)],
        items=items,
        skills=skills,
        starts=np.concatenate([[0], np.cumsum(lengths)]),
        item=np.concatenate(item),
        answer=np.concatenate([part.answer for part in parts]),
        q_matrix=table_of(paths[0], len(items), len(skills), np.concatenate(links)),
        ordered=all(part.ordered for part in parts),
        fold=None if any(fold is None for fold in folds) else np.concatenate(folds),
        file=np.repeat(np.arange(len(parts)), [len(part.students) for part in parts]),
        notes=notes,
        order=", ".join(dict.fromkeys(part.order for part in parts if part.order)),
        split=None if any(split is None for split in splits) else np.concatenate(splits),
        columns="; ".join(dict.fromkeys(part.columns for part in parts if part.columns)),
    )
