"""ASSISTments 2009-2010, skill builder, "updated": 4,151 students, 110 skills, in order of time."""

from pathlib import Path

from bench.data.students import prepared as prepared_students
from bench.data.students.episodes import Protocol
from bench.data.students.recorded import FoldsFrom


class Assist2009DataModule(prepared_students.PreparedStudents):
    """The files of the DKVMN paper (Zhang et al. 2017), in which an item is a skill.

    Its own test file is the test split; a part of its training file is for validation.

    Args:
        protocol: see :class:`bench.data.students.episodes.StudentEpisodes`.
        shots: answers shown, at most.
        queries: answers to predict.
        fold: which file is tested: 1, the test file.
        folds_from: its files are the folds.
        **kwargs: see :class:`bench.data.student.StudentDataModule`.
    """

    stored_as = "assist2009"

    def __init__(
        self,
        protocol: Protocol = "first",
        shots: int = 25,
        queries: int | None = 50,
        fold: int = 1,
        folds_from: FoldsFrom = "file",
        **kwargs,
    ):
        super().__init__(
            protocol=protocol,
            shots=shots,
            queries=queries,
            fold=fold,
            folds_from=folds_from,
            **kwargs,
        )


def prepare(source: Path | None = None, data_root: Path | None = None) -> str:
    """Packs the files of a folder; see :func:`bench.data.students.prepared.prepare`."""
    return prepared_students.prepare(
        "assist2009",
        ["assist2009_updated_train.csv", "assist2009_updated_test.csv"],
        {"students": 4151, "items": 110, "answers": 325_637, "skills": 110},
        source,
        data_root,
    )
