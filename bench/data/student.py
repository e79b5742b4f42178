"""Real students: answers from files of your own, split by student or as the files divide them."""

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from bench.base.errors import BenchError
from bench.data.students import prepared
from bench.data.students.recorded import RecordedStudents
from bench.data.students.responses import Responses, division, read

FILES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".xlsx", ".parquet")
# Names of a file that says which item asks for which skill, and of what is no file of answers
Q_MATRIX = re.compile(r"q_?matrix|^items?\b|\bskills\b", re.IGNORECASE)
OTHER_METADATA = re.compile(r"metadata|readme|licen[cs]e", re.IGNORECASE)


class StudentDataModule(RecordedStudents):
    """Students whose answers lie in a file of yours, or in several, or were prepared.

    Args:
        source: a file of answers, or several; None: what ``maml-bench prepare student`` packed.
        columns: names of a table's columns, where they are unusual.
        q_matrix: a file that says which item asks for which skill.
        data_root: folder of prepared data; see :func:`bench.base.paths.data_root`.
        **kwargs: see :class:`bench.data.students.recorded.RecordedStudents`.
    """

    def __init__(
        self,
        source: str | list[str] | None = None,
        columns: Mapping[str, str] | None = None,
        q_matrix: str | None = None,
        data_root: str | None = None,
        **kwargs,
    ):
        super().__init__(source=source, columns=columns, q_matrix=q_matrix, **kwargs)

    @cached_property
    def responses(self) -> Responses:
        """All answers.

        Raises:
            BenchError: if there are none, or what is wrong with them.
        """
        path = prepared.cache("student", self.hparams["data_root"])
        if self.hparams["source"] or not path.exists():
            return super().responses
        for name in ("columns", "q_matrix"):
            if self.hparams[name] is not None:
                raise BenchError(f"{name}={self.hparams[name]!r}: goes with source; name one")
        return prepared.load(path, "student")

    @property
    def _where(self) -> str:
        path = prepared.cache("student", self.hparams["data_root"])
        return super()._where if self.hparams["source"] else str(path)


def prepare(source: Path | None = None, data_root: Path | None = None) -> str:
    """Reads answers in any known format and packs them, so that they need no ``source``.

    Args:
        source: a file; or a folder with one, or with those of training, validation and test, and
            with a file that says which item asks for which skill.
        data_root: where to write; see :func:`bench.base.paths.data_root`.

    Returns:
        What was found and written, in sentences.

    Raises:
        BenchError: if there is no file of answers, or which is one is not told; nothing is written.
    """
    if source is None:
        raise BenchError(
            "student: name a file of answers, or a folder with it: maml-bench prepare student "
            "--source PATH (see datasets/student/README.md)"
        )
    source = Path(source).expanduser()
    answers, q_matrix = files_of(source) if source.is_dir() else ([source], None)
    responses = read(answers, None, q_matrix, by_answer=len(answers) > 1)
    path = prepared.cache("student", data_root)
    prepared.save(path, responses)
    counts, *others = responses.sentences()
    names = ", ".join(file.name for file in [*answers, *([q_matrix] if q_matrix else [])])
    if responses.split is not None:
        sizes = ((word, int((responses.split == n).sum())) for n, word in enumerate(division.PARTS))
        words = ", ".join(f"{size:,} for {word}" for word, size in sizes if size)
        others.append(f"The answers are divided: {words}; split_by=answer keeps to that.")
    return " ".join([f"Read {names}: {counts}", *others, f"Wrote {path}."])


def tables_in(folder: Path) -> list[Path]:
    """The files in a folder that may hold answers or skills."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and Path(path.name.removesuffix(".gz")).suffix.lower() in FILES
    )


def files_of(folder: Path) -> tuple[list[Path], Path | None]:
    """The files of answers in a folder, and that of skills.

    Raises:
        BenchError: if there is none, or which is one is not told.
    """
    files = tables_in(folder)
    skills = [path for path in files if Q_MATRIX.search(path.name)]
    answers = [p for p in files if p not in skills and not OTHER_METADATA.search(p.name)]
    if not answers:
        raise BenchError(f"{folder}: no file of answers in it ({', '.join(FILES)}): give one")
    divided = all(division.of_name(path) is not None for path in answers)
    for what, several in (("answers", answers if not divided else []), ("skills", skills)):
        if len(several) > 1:
            raise BenchError(
                f"{folder}: {', '.join(p.name for p in several)}: which has the {what} is not "
                "told: leave one of them there, or call files of answers train, valid and test"
            )
    return answers, next(iter(skills), None)
