"""The headline of every test episode of a run: its interval over runs, and pairs of runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.base.errors import BenchError
from bench.results.run_files import RunFiles
from bench.tasks.statistics import Interval, interval, interval_over_folds, interval_over_runs

REPEATED = ("seed", "fold", "version")  # what the runs of one cell differ in


class Scores(NamedTuple):
    """The headline of each episode of a record, ``[episodes]``, in the order of their numbers."""

    record: dict
    index: np.ndarray
    values: np.ndarray


def of_record(record: dict) -> Scores:
    """The scores of a record."""
    evaluation, headline = record["evaluation"], record["metrics"]["headline"]
    index = np.array(evaluation["index"])
    values = np.array(evaluation["per_episode"][headline], float)
    order = np.argsort(index, kind="stable")  # which takes no time where they are in order
    return Scores(record, index[order], values[order])


def aligned(scores: Sequence[Scores]) -> np.ndarray:
    """Values on the same episodes, ``[runs, episodes]``.

    Raises:
        BenchError: if two were tested on different episodes.
    """
    for other in scores[1:]:
        if not np.array_equal(scores[0].index, other.index):
            raise BenchError(
                f"{file_of(scores[0].record)} and {file_of(other.record)} were tested on different "
                "episodes, so they cannot be paired: run both again with the same test_episodes"
            )
    return np.stack([each.values for each in scores])


def interval_over(runs: Sequence[Scores]) -> str:
    """What an interval is over: ``"episodes"``, ``"runs and episodes"`` or ``"runs"``."""
    if independent(runs) < 3:
        return "episodes"
    one_sample = len({_sample(run.record) for run in runs}) == 1
    same = one_sample and all(np.array_equal(runs[0].index, run.index) for run in runs)
    return "runs and episodes" if same else "runs"


def independent(runs: Sequence[Scores]) -> int:
    """How many results there are: folds or versions, or else seeds."""
    samples = {_sample(run.record) for run in runs}
    return len(samples) if len(samples) > 1 else len(runs)


def _sample(record: dict) -> tuple:
    """Whose episodes a run was tested on: fold and version."""
    return repetition(record)[1:]


def over_runs(runs: Sequence[Scores]) -> Interval:
    """The interval that :func:`interval_over` names; seeds of one fold are averaged first."""
    over = interval_over(runs)
    if over == "runs and episodes":
        return interval_over_runs([run.values for run in runs])
    samples: dict[tuple, list[Scores]] = {}
    for run in runs:
        samples.setdefault(_sample(run.record), []).append(run)
    if over == "episodes":
        return interval(np.concatenate([aligned(same).mean(0) for same in samples.values()]))
    if len(samples) > 1:
        means = [np.mean([r.values.mean() for r in same]) for same in samples.values()]
        folds = {run.record["experiment"]["data"].get("fold") for run in runs}
        if len(folds) == 1:  # versions
            return interval(means)
        every = runs[0].record["experiment"]["data"].get("folds") or len(folds)
        return interval_over_folds(means, max(every, len(folds)))
    return interval([run.values.mean() for run in runs])


def together(*cells: list[Scores]) -> list[tuple[Scores, ...]]:
    """The runs that all cells have."""
    by_run = [{repetition(s.record): s for s in cell} for cell in cells]
    return [tuple(b[run] for b in by_run) for run in by_run[0] if all(run in b for b in by_run)]


def paired(ours: list[dict], theirs: list[dict]) -> Interval | None:
    """The difference of two cells over the runs that both have; None if it cannot be paired.

    Args:
        ours: the records of one cell.
        theirs: of the other, perhaps from another folder.
    """
    pairs = together(*([of_record(m) for m in members] for members in (ours, theirs)))
    if not pairs or any(not np.array_equal(a.index, b.index) for a, b in pairs):
        return None
    runs = [Scores(a.record, a.index, a.values - b.values) for a, b in pairs]
    first: dict[tuple, Scores] = {}  # folds have episodes of their own
    same = all(
        np.array_equal(first.setdefault(_sample(run.record), run).index, run.index) for run in runs
    )
    return over_runs(runs) if same or len(runs) > 2 else None


def repetition(record: dict) -> tuple:
    """Which run of its cell a record is: seed, fold, version."""
    experiment = record["experiment"]
    given = [experiment["seed"], *(experiment["data"].get(n) for n in REPEATED[1:])]
    return tuple(-1 if v is None else v for v in given)


def file_of(record: dict) -> Path:
    """Where a record lies in its results folder."""
    return RunFiles.locate(Path(), record["experiment"]).record
