"""Fraction subtraction: 536 students, 20 items, 8 skills (Tatsuoka 1984)."""

from pathlib import Path

from bench.data.students import prepared as prepared_students


class FractionSubtractionDataModule(prepared_students.PreparedStudents):
    """Middle-school students' answers to 20 problems, each answered by all; no order of time.

    Tatsuoka, "Analysis of errors in fraction addition and subtraction problems", 1984; Q-matrix of
    de la Torre and Douglas 2004.

    Args:
        shots: answers shown, at most.
        queries: answers to predict; None: all the rest.
        **kwargs: see :class:`bench.data.student.StudentDataModule`.
    """

    stored_as = "fraction_subtraction"

    def __init__(self, shots: int = 10, queries: int | None = None, **kwargs):
        super().__init__(shots=shots, queries=queries, **kwargs)


def prepare(source: Path | None = None, data_root: Path | None = None) -> str:
    """Packs the files of a folder; see :func:`bench.data.students.prepared.prepare`."""
    return prepared_students.prepare(
        "fraction_subtraction",
        ["fraction_subtraction_responses.csv"],
        {"students": 536, "items": 20, "answers": 10_720, "skills": 8},
        source,
        data_root,
        "fraction_subtraction_qmatrix.csv",
    )
