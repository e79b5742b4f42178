"""Which runs of a grid are finished: recorded and, if that is wanted, their cost measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import records


def is_finished(out: Path, experiment: dict[str, Any]) -> bool:
    """Whether nothing is left to do of a run.

    Args:
        out: the results folder.
        experiment: the fields of the experiment, as in a record.
    """
    recorded = records.path_of(out, experiment).exists()
    return recorded and not _unmeasured(out, experiment).exists()


def awaits_its_cost(out: Path, experiment: dict[str, Any]) -> bool:
    """Whether a run has its record, and was stopped while its cost was measured."""
    return records.path_of(out, experiment).exists() and _unmeasured(out, experiment).exists()


@contextmanager
def measuring(out: Path, experiment: dict[str, Any]) -> Iterator[None]:
    """Within this context a run is recorded and measured: unless it ends well, it is not finished.

    Raises:
        OSError: if that cannot be noted.
    """
    mark = _unmeasured(out, experiment)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    yield
    mark.unlink(missing_ok=True)


def _unmeasured(out: Path, experiment: dict[str, Any]) -> Path:
    return Path(out) / "checkpoints" / experiment["key"] / ".unmeasured"
