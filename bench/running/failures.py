"""Runs that failed: noted beside the records, so that a grid can go on and say so.

What the user can put right (missing data, a wrong setting) is tried again by the next command;
what would fail again, only if asked: ``--retry-failed``.
"""

import gc
import sys
import traceback
from pathlib import Path

from bench.base.errors import BenchError, Diverged, out_of_memory
from bench.results import failed
from bench.results.failed import Failure
from bench.running import less_memory
from bench.running.experiment import Experiment
from bench.running.machine import Machine


def note(
    out: Path, experiment: Experiment, error: Exception, machine: Machine | None = None
) -> Failure:
    """Notes a failure, with its traceback unless it diverged, and frees what its frames hold.

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
        _may_be_right_now(error),
        experiment.fields,
        isinstance(error, Diverged),
    )
    # how training diverged is in the message, and such a note belongs to the results
    where = "" if failure.diverged else "".join(traceback.format_exception(error))
    failed.write(out, failure, where)
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


def _may_be_right_now(error: Exception) -> bool:
    """Whether the user may have put it right by the next command: a setting, data, a full disk."""
    would_fail_again = isinstance(error, Diverged) or out_of_memory(error)
    return isinstance(error, BenchError | OSError) and not would_fail_again


def _message(error: Exception, experiment: Experiment, machine: Machine | None) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    text = "".join(c if c.isprintable() else "?" for c in words)
    if out_of_memory(error):
        if machine is None:
            return f"out of memory ({text[:200]}): {less_memory.list_options(experiment)}"
        return f"out of memory ({text[:200]}): {less_memory.find_fitting(experiment, machine)}"
    return text if isinstance(error, BenchError) else f"{type(error).__name__}: {text[:500]}"
