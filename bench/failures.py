"""Runs that failed: noted beside the records, so that a grid can go on and say so.

What the user can mend (missing data, a wrong setting) is tried again by the next command; what
would fail again, only if asked: ``--retry-failed``.
"""

import json
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench import records
from bench.errors import BenchError, Diverged
from bench.experiment import Experiment

SCHEMA = 1


class Failure(NamedTuple):
    """Why a run has no record.

    Attributes:
        key: of its experiment.
        message: in one line.
        again: whether the next command should try it without being asked.
    """

    key: str
    message: str
    again: bool


def path_of(out: Path, experiment: Experiment) -> Path:
    """``out/failed/<suite>/<key>.json``."""
    return out / "failed" / experiment.suite / f"{experiment.key}.json"


def write(out: Path, experiment: Experiment, error: Exception) -> Failure:
    """Notes a failure with its traceback."""
    failure = Failure(
        experiment.key,
        _message(error, experiment),
        isinstance(error, BenchError) and not isinstance(error, Diverged),
    )
    content = {
        "schema": SCHEMA,
        "experiment": experiment.fields,
        **failure._asdict(),
        "traceback": "".join(traceback.format_exception(error)),
        "provenance": records.provenance(),
    }
    records.write_text(path_of(out, experiment), json.dumps(content, indent=1) + "\n")
    return failure


def read(out: Path, experiments: Sequence[Experiment]) -> dict[str, Failure]:
    """The failures among some experiments, by their keys.

    Raises:
        BenchError: if a file is not what :func:`write` wrote.
    """
    found = {}
    for experiment in experiments:
        path = path_of(out, experiment)
        if not path.exists():
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            failure = Failure(*(content[name] for name in Failure._fields))
            if list(map(type, failure)) != [str, str, bool] or failure.key != experiment.key:
                raise ValueError("key, message or again is wrong")
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise BenchError(f"{path}: no note of a failed run ({error}): delete it") from None
        found[experiment.key] = failure
    return found


def forget(out: Path, experiment: Experiment) -> None:
    """Deletes the note, before a run is tried again."""
    path_of(out, experiment).unlink(missing_ok=True)


def _message(error: Exception, experiment: Experiment) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if _out_of_memory(error):
        return f"out of memory ({text[:200]}): {smaller(experiment)}"
    return text if isinstance(error, BenchError) else f"{type(error).__name__}: {text[:500]}"


def _out_of_memory(error: Exception) -> bool:
    said = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in said
        or "out of memory" in said
    )


def smaller(experiment: Experiment) -> str:
    """What would need less, from what the experiment has."""
    learner, tasks = experiment.learner_arguments, experiment.data_arguments["tasks_per_batch"]
    wishes = []
    if learner.get("order") == 2 and not learner.get("recompute"):
        wishes.append("recompute=True (the same gradient, steps computed twice)")
    if learner.get("engine") not in ("loop", None):
        wishes.append("engine=loop (one task at a time)")
    if tasks > 1:
        wishes.append(f"tasks_per_batch={tasks // 2}")
    if learner.get("order") == 2:
        wishes.append("order 1, whose memory does not grow with inner_steps")
    return "try --set " + ", or ".join(wishes) if wishes else "try a smaller model"
