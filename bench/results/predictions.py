"""What was predicted of every query row of a run, kept beside its record on request.

A compressed file of arrays (``.npz``), from which :mod:`bench.results.confusion` and
:mod:`bench.results.calibration` are made. It is data from elsewhere: it is read without running
anything, and checked.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.base import npz
from bench.base.errors import BenchError
from bench.base.paths import explain_refusal, replacing
from bench.results.run_files import RunFiles

if TYPE_CHECKING:  # which imports torch
    from bench.tasks.data_module import EpisodeDataModule

NAME_LENGTH = 200  # characters of a class name; no terminal shows more


class Predictions(NamedTuple):
    """Predictions of the query rows of test episodes, after the last inner step.

    Attributes:
        unit: ``[rows]`` what a record lists: the number of the row's episode, or student.
        answer: ``[rows]`` the row's class, as a number of ``names``; 0 or 1 where there are none.
        probability: ``[rows, outputs]`` float32, of each class of the episode; of a right answer.
        classes: ``[rows, outputs]`` which class each of these is; -1 for none.
        names: ``[classes]`` of the split; empty where answers are right or wrong.
    """

    unit: np.ndarray
    answer: np.ndarray
    probability: np.ndarray
    classes: np.ndarray
    names: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """``[rows]`` the class that is the most probable."""
        best = self.probability.argmax(1)
        return self.classes[np.arange(len(best)), best]

    def of(self, units: Sequence[int]) -> "Predictions":
        """Those of some episodes or students."""
        inside = np.isin(self.unit, np.asarray(units))
        return Predictions(*(values[inside] for values in self[:4]), self.names)


def of_rows(rows: dict[str, np.ndarray], data: "EpisodeDataModule", split: str) -> Predictions:
    """What was gathered while a run was validated or tested.

    Args:
        rows: from :class:`bench.tasks.predicted.PredictedRows`.
        data: where the episodes are from.
        split: which.
    """
    return Predictions(
        unit=data.unit(split, rows["index"]),
        answer=rows["answer"],
        probability=rows["probability"],
        classes=rows["classes"],
        names=shown(data.class_names(split)),
    )


def write(path: Path, found: Predictions) -> None:
    """Writes the file of a run, whole or not at all.

    Raises:
        BenchError: if the folder cannot be written to.
    """
    with explain_refusal(path, "choose another folder with --out"), replacing(path) as file:
        np.savez_compressed(file, **found._asdict())


def read(path: Path) -> Predictions:
    """Reads the file of a run and checks it.

    Raises:
        BenchError: names the file, and what is wrong.
    """
    try:
        arrays = npz.load(path)
        found = Predictions(**{name: arrays[name] for name in Predictions._fields})
        wrong = _problem(found)
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}") from None
    except KeyError as error:
        wrong = f"it has no {error.args[0]}"
    except ValueError as error:
        wrong = str(error)
    if wrong:
        raise BenchError(
            f"{path}: {wrong}: delete it, and run again with --keep-predictions to get it back"
        )
    return found


def _problem(found: Predictions) -> str | None:
    kinds = {"unit": "i", "answer": "i", "probability": "f", "classes": "i", "names": "U"}
    for name, kind in kinds.items():
        if getattr(found, name).dtype.kind != kind:
            return f"{name} holds {getattr(found, name).dtype}"
    rows = len(found.unit) if found.unit.ndim == 1 else 0
    shape = (rows, found.probability.shape[-1] if found.probability.ndim == 2 else 0)
    if not rows or found.answer.shape != (rows,) or found.names.ndim != 1:
        return "its arrays do not fit together"
    if found.probability.shape != shape or found.classes.shape != shape or not shape[1]:
        return "its arrays do not fit together"
    if not ((found.probability >= 0) & (found.probability <= 1.0001)).all():
        return "probability holds numbers that are none"
    most = max(len(found.names), 2)
    if not (found.answer.min() >= 0 and found.answer.max() < most):
        return "answer holds numbers of no class"
    if not (found.classes.min() >= -1 and found.classes.max() < most):
        return "classes holds numbers of no class"
    if not all(str(name).isprintable() and len(name) <= NAME_LENGTH for name in found.names):
        return "names must hold plain words"
    return None


def shown(names: Sequence[str]) -> np.ndarray:
    """Names as they can be printed, different ones still different."""
    plain = ["".join(c if c.isprintable() else "?" for c in str(n))[:NAME_LENGTH] for n in names]
    if len(set(plain)) < len(plain):
        plain = [f"{n[: NAME_LENGTH - 12]} ({i})" for i, n in enumerate(plain)]
    return np.array(plain, dtype=np.str_) if plain else np.zeros(0, dtype="<U1")


def of_records(out: Path, members: Sequence[dict[str, Any]]) -> list[Predictions]:
    """What was kept of some records, each of which may be one view of a run.

    Raises:
        BenchError: if a file is not what it should be.
    """
    found = []
    for record in members:
        path = RunFiles.locate(out, record["experiment"]).predictions
        if path.exists():
            part = read(path).of(record["evaluation"]["index"])
            found += [part] if len(part.unit) else []
    return found
