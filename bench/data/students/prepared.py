"""Well-known sets of real students, prepared once and checked against what is known of them."""

from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from bench.base import npz, paths
from bench.base.errors import BenchError
from bench.data.students.recorded import RecordedStudents
from bench.data.students.responses import Responses, read
from bench.data.students.responses.division import PARTS

# "file" is what numpy calls an argument of its own
ARRAYS = ("starts", "item", "answer", "q_matrix", "of_file")
NAMES = ("students", "items", "skills", "notes")
OPTIONAL = {"of_fold": "students", "of_split": "item"}  # and of what each has as many
_NUMBERS = ("starts", "item", "answer", "of_file")


class PreparedStudents(RecordedStudents):
    """Students of one well-known set, from the packed file that ``maml-bench prepare`` wrote.

    Args:
        data_root: folder of prepared data; see :func:`bench.base.paths.data_root`.
        **kwargs: see :class:`bench.data.students.recorded.RecordedStudents`.
    """

    stored_as: ClassVar[str]

    def __init__(self, data_root: str | None = None, **kwargs):
        super().__init__(**kwargs)
        for name in ("source", "columns", "q_matrix"):
            if self.hparams[name] is not None:
                raise BenchError(
                    f"{name}={self.hparams[name]!r}: {self.stored_as} is read as it was prepared; "
                    "for files of your own use the data set student"
                )

    @cached_property
    def responses(self) -> Responses:
        """All answers.

        Raises:
            BenchError: if the set is not prepared, or its file is damaged.
        """
        return load(cache(self.stored_as, self.hparams["data_root"]), self.stored_as)

    @property
    def _where(self) -> str:
        return self.stored_as


def cache(name: str, data_root: str | Path | None) -> Path:
    """The file of a prepared set."""
    return paths.data_root(data_root) / f"{name}.answers.npz"


def prepare(
    name: str,
    files: list[str],
    expected: dict[str, int],
    source: Path | None,
    data_root: Path | None,
    q_matrix: str | None = None,
) -> str:
    """Reads the files of a set from a folder, says what was found, and writes the packed file.

    Args:
        name: of the set.
        files: names of its files, without ``.gz``.
        expected: what the set is known to hold: ``students``, ``items``, ``answers``, ``skills``.
        source: the folder.
        data_root: where to write.
        q_matrix: name of the file with its Q-matrix.

    Returns:
        What was found and written, in sentences.

    Raises:
        BenchError: if a file is missing or cannot be read; nothing is written then.
    """
    if source is None:
        raise BenchError(
            f"{name} cannot be downloaded by a program: get {', '.join(files)} (see "
            f"datasets/{name}/README.md), then maml-bench prepare {name} --source FOLDER"
        )
    wanted = [*files, q_matrix] if q_matrix else files
    found = {n: _find(Path(source).expanduser(), n) for n in wanted}
    responses = read([found[n] for n in files], None, found.get(q_matrix))
    counts = {
        "students": len(responses.students),
        "items": len(responses.items),
        "answers": len(responses.answer),
        "skills": len(responses.skills),
    }
    words = ", ".join(f"{n:,} {what}" for what, n in counts.items())
    differing = [f"{expected[w]:,} {w}" for w in expected if counts[w] != expected[w]]
    notes = [f"The usual set has {', '.join(differing)}: this one is another."] if differing else []
    path = cache(name, data_root)
    save(path, responses)
    said = [f"{note[0].upper()}{note[1:]}." for note in responses.notes]
    return " ".join([f"Found {words} in {source}.", *said, *notes, f"Wrote {path}."])


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz", folder):
        if path.is_file() and path.name.removesuffix(".gz") == name:
            return path
    raise BenchError(f"{folder} holds neither {name} nor {name}.gz")


def save(path: Path, responses: Responses) -> None:
    """Writes answers to one file of plain arrays.

    Raises:
        BenchError: if the folder cannot be written to.
    """
    arrays = {n: getattr(responses, n.removeprefix("of_")) for n in (*ARRAYS, *OPTIONAL)}
    arrays = {n: array for n, array in arrays.items() if array is not None}
    arrays |= {n: np.array(getattr(responses, n), np.str_) for n in NAMES}
    arrays |= {"ordered": np.array(responses.ordered), "order": np.array(responses.order)}
    try:
        with paths.replacing(path) as file:
            np.savez_compressed(file, **arrays)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror}") from None


def load(path: Path, name: str) -> Responses:
    """Reads what :func:`save` wrote; nothing in it is executed.

    Raises:
        BenchError: if it is not there or damaged.
    """
    again = f"maml-bench prepare {name} --source FOLDER"
    if not path.exists():
        raise BenchError(f"{path} does not exist: {name} is not prepared; run {again}")
    try:
        stored = npz.load(path)
        arrays = {n.removeprefix("of_"): stored[n] for n in ARRAYS}
        arrays |= {n.removeprefix("of_"): stored.get(n) for n in OPTIONAL}
        lists = {n: stored[n].tolist() for n in NAMES}
        ordered = stored["ordered"].item()
        order = str(stored.get("order", ""))
    except PermissionError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror}") from None
    except (OSError, ValueError, KeyError) as error:
        raise BenchError(f"{path} is damaged ({error}): run {again}") from None
    responses = Responses(**arrays, **lists, ordered=ordered, order=order)
    if not _is_whole(responses):
        raise BenchError(f"{path} is damaged (its parts do not fit together): run {again}")
    return responses


def _is_whole(responses: Responses) -> bool:
    """Whether arrays from a file have the types, sizes and numbers that they must have."""
    starts, item, answer, file = (getattr(responses, n.removeprefix("of_")) for n in _NUMBERS)
    lists, q_matrix = [getattr(responses, n) for n in NAMES], responses.q_matrix
    if not all(a.dtype.kind == "i" and a.ndim == 1 for a in (starts, item, answer, file)):
        return False
    if not all(isinstance(v, list) and all(type(n) is str for n in v) for v in lists):
        return False
    for name, like in OPTIONAL.items():
        array = getattr(responses, name.removeprefix("of_"))
        wanted = (len(getattr(responses, like)),)
        if array is not None and (array.dtype.kind != "i" or array.shape != wanted):
            return False
    if responses.split is not None and not np.isin(responses.split, range(len(PARTS))).all():
        return False
    students, items, skills, _ = map(len, lists)
    return bool(
        type(responses.ordered) is bool
        and q_matrix.dtype == bool
        and q_matrix.shape == (items, skills)
        and len(starts) == students + 1
        and len(file) == students > 0
        and (starts[0], starts[-1]) == (0, len(item))
        and (np.diff(starts) > 0).all()
        and len(answer) == len(item)
        and item.min() >= 0
        and item.max() < items
        and answer.min() >= 0
        and answer.max() <= 1
    )
