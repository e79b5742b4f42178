"""Notes of runs that failed, beside the records: written, read back and checked."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.base import paths
from bench.base.errors import BenchError
from bench.results import records
from bench.results.run_files import RunFiles

SCHEMA = 1


class Failure(NamedTuple):
    """Why a run has no record.

    Attributes:
        key: of its experiment.
        message: in one line.
        again: whether the next command should try it without being asked.
        experiment: the fields of the experiment, as in a record.
    """

    key: str
    message: str
    again: bool
    experiment: dict[str, Any]


def write(out: Path, failure: Failure, traceback: str) -> None:
    """Writes the note of a failed run, with its traceback and where it ran.

    Raises:
        BenchError: if the folder cannot be written to.
    """
    content = {
        "schema": SCHEMA,
        **failure._asdict(),
        "traceback": traceback,
        "provenance": records.provenance(),
    }
    path = RunFiles.of(out, failure.experiment).failure
    paths.write_text(path, json.dumps(content, indent=1) + "\n")


def read(out: Path, experiments: Iterable[Mapping[str, Any]]) -> dict[str, Failure]:
    """The failures among some experiments that are not finished, by their keys.

    Args:
        out: the results folder.
        experiments: the fields of each, as in a record.

    Raises:
        BenchError: if a file is not what :func:`write` wrote.
    """
    files = [RunFiles.of(out, e) for e in experiments]
    return {f.key: _read(f.failure) for f in files if f.has_failed}


def read_all(out: Path, suite: str | None = None) -> list[Failure]:
    """All runs under ``out/failed``, or those of one suite, that are not finished.

    Raises:
        BenchError: if a file is not what :func:`write` wrote.
    """
    found = [_read(path) for path in sorted(Path(out).glob(f"failed/{suite or '*'}/*.json"))]
    return [f for f in found if not RunFiles.of(out, f.experiment).is_finished]


def forget(files: RunFiles) -> None:
    """Deletes the note, before a run is tried again.

    Raises:
        BenchError: if it cannot be deleted.
    """
    try:
        files.failure.unlink(missing_ok=True)
    except OSError as error:
        raise BenchError(
            f"{files.failure}: cannot be deleted ({error.strerror}): delete it"
        ) from error


def _read(path: Path) -> Failure:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        failure = Failure(*(content[name] for name in Failure._fields))
        if list(map(type, failure)) != [str, str, bool, dict] or failure.key != path.stem:
            raise ValueError("key, message, again or experiment is wrong")
        _check(failure, path)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, BenchError) as error:
        raise BenchError(f"{path}: no note of a failed run ({error}): delete it") from None
    return failure


def _check(failure: Failure, path: Path) -> None:
    """Refuses what could not be put into a table."""
    experiment = failure.experiment
    for field, kind in records.FIELDS.items():
        part, _, name = field.partition(".")
        if part == "experiment" and not isinstance(experiment[name], kind):
            raise ValueError(f"{field} is {experiment[name]!r}")
    if RunFiles.of(Path(), experiment).failure.parts[1:] != path.parts[-2:]:
        raise ValueError("experiment.suite and experiment.key say that it belongs elsewhere")
    for text in (failure.message, experiment["dataset"], experiment["algorithm"]):
        if not text.isprintable():
            raise ValueError("there are control characters in it")
