"""Runs that failed: noted beside the records, so that a grid can go on and say so.

What the user can mend (missing data, a wrong setting) is tried again by the next command; what
would fail again, only if asked: ``--retry-failed``.
"""

import gc
import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench import less_memory, records
from bench.errors import BenchError, Diverged, out_of_memory
from bench.experiment import Experiment
from bench.finished import is_finished
from bench.machine import Machine

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


def path_of(out: Path, experiment: Experiment) -> Path:
    """``out/failed/<suite>/<key>.json``."""
    return out / "failed" / experiment.suite / f"{experiment.key}.json"


def write(
    out: Path, experiment: Experiment, error: Exception, machine: Machine | None = None
) -> Failure:
    """Notes a failure with its traceback, and frees what its frames hold.

    Args:
        out: the results folder.
        experiment: what failed.
        error: with what.
        machine: where; if memory ran out, what would fit there is tried. None: nothing is tried.
    """
    _release(error)
    failure = Failure(
        experiment.key,
        _message(error, experiment, machine),
        _can_be_mended(error),
        experiment.fields,
    )
    content = {
        "schema": SCHEMA,
        **failure._asdict(),
        "traceback": "".join(traceback.format_exception(error)),
        "provenance": records.provenance(),
    }
    records.write_text(path_of(out, experiment), json.dumps(content, indent=1) + "\n")
    return failure


def _release(error: BaseException | None) -> None:
    """Frees the locals of an error's frames: where memory ran out, they are what has filled it."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    gc.collect()
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_initialized():
        torch.cuda.empty_cache()  # so that others can have it


def read(out: Path, experiments: Sequence[Experiment]) -> dict[str, Failure]:
    """The failures among some experiments that are not finished, by their keys.

    Raises:
        BenchError: if a file is not what :func:`write` wrote.
    """
    paths = {e.key: path_of(out, e) for e in experiments if not is_finished(out, e.fields)}
    return {key: _read(path) for key, path in paths.items() if path.exists()}


def read_all(out: Path, suite: str | None = None) -> list[Failure]:
    """All runs under ``out/failed``, or those of one suite, that are not finished.

    Raises:
        BenchError: if a file is not what :func:`write` wrote.
    """
    found = [_read(path) for path in sorted(Path(out).glob(f"failed/{suite or '*'}/*.json"))]
    return [f for f in found if not is_finished(out, f.experiment)]


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
    if records.path_of(Path(), experiment).parts[1:] != path.parts[-2:]:
        raise ValueError("experiment.suite and experiment.key say that it belongs elsewhere")
    for text in (failure.message, experiment["dataset"], experiment["algorithm"]):
        if not text.isprintable():
            raise ValueError("there are control characters in it")


def forget(out: Path, experiment: Experiment) -> None:
    """Deletes the note, before a run is tried again.

    Raises:
        BenchError: if it cannot be deleted.
    """
    path = path_of(out, experiment)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise BenchError(f"{path}: cannot be deleted ({error.strerror}): delete it") from error


def _can_be_mended(error: Exception) -> bool:
    """Whether the user may have mended it by the next command: a setting, the data, a full disk."""
    would_fail_again = isinstance(error, Diverged) or out_of_memory(error)
    return isinstance(error, BenchError | OSError) and not would_fail_again


def _message(error: Exception, experiment: Experiment, machine: Machine | None) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    text = "".join(c if c.isprintable() else "?" for c in words)
    if out_of_memory(error):
        if machine is None:
            return f"out of memory ({text[:200]}): {less_memory.listed(experiment)}"
        return f"out of memory ({text[:200]}): {less_memory.fitting(experiment, machine)}"
    return text if isinstance(error, BenchError) else f"{type(error).__name__}: {text[:500]}"
