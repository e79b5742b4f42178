"""Notes of runs that failed, beside the records: written, read back and checked."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bench.base import paths, regular_files
from bench.base.errors import BenchError
from bench.results import schema
from bench.results.checking import problem
from bench.results.provenance import provenance
from bench.results.run_files import RunFiles

VERSION = 1


class Failure(msgspec.Struct, frozen=True):
    """Why a run has no record.

    Attributes:
        key: of its experiment.
        message: in one line.
        again: whether the next command should try it without being asked.
        experiment: the fields of the experiment, as in a record.
        diverged: whether training left the finite numbers: what came out, and no mishap.
    """

    key: schema.Name
    message: str
    again: bool
    experiment: dict[str, Any]
    diverged: bool = False


def write(out: Path, failure: Failure, traceback: str) -> None:
    """Writes the note of a failed run, with its traceback (or nothing) and where it ran.

    Raises:
        BenchError: if the folder cannot be written to.
    """
    note = {"schema": VERSION, **msgspec.structs.asdict(failure)}
    note |= {"traceback": traceback, "provenance": provenance()}
    path = RunFiles.locate(out, failure.experiment).failure
    paths.write_text(path, json.dumps(note, indent=1) + "\n")


def read(out: Path, experiments: Iterable[Mapping[str, Any]]) -> dict[str, Failure]:
    """The failures among some experiments that are not finished, by their keys.

    Args:
        out: the results folder.
        experiments: the fields of each, as in a record.

    Raises:
        BenchError: if a file is not what :func:`write` wrote.
    """
    files = [RunFiles.locate(out, e) for e in experiments]
    return {f.key: _read(f.failure) for f in files if f.has_failed}


def read_all(out: Path, suite: str | None = None) -> list[Failure]:
    """All runs under ``out/failed``, or those of one suite, that are not finished.

    Raises:
        BenchError: if a file is not what :func:`write` wrote.
    """
    found = [_read(path) for path in sorted(Path(out).glob(f"failed/{suite or '*'}/*.json"))]
    return [f for f in found if not RunFiles.locate(out, f.experiment).is_finished]


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
        note = msgspec.json.decode(regular_files.read_bytes(path))
        if wrong := _problem_of_note(note, path):
            raise ValueError(wrong)
    except (OSError, ValueError, RecursionError) as error:
        raise BenchError(f"{path}: no note of a failed run ({error}): delete it") from None
    return msgspec.convert(note, Failure)


def _problem_of_note(note: Any, path: Path) -> str | None:
    """What keeps it from being a note that can be put into a table."""
    if found := problem(note, Failure):
        return found
    experiment = note["experiment"]
    if found := problem(experiment, schema.Experiment, "experiment"):
        return found
    if note["key"] != experiment["key"]:
        return f"key is {note['key']}, and experiment.key is not"
    if RunFiles.locate(Path(), experiment).failure.parts[1:] != path.parts[-2:]:
        return "experiment.suite and experiment.key say that it belongs elsewhere"
    if not note["message"].isprintable():
        return "message holds control characters"
    return None
