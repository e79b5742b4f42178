"""How long the rest of a grid takes: by its runs so far, or by records of runs like them."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.results import records
from bench.running import choices
from bench.running.experiment import Experiment

# what says how often or on what, and takes no other time
FREE = (*choices.FREE, "test_episodes")


def by_runs_so_far(to_do: Sequence[Experiment], seconds: dict[str, list[float]]) -> str:
    """The time that the rest takes, in words; "" before the first run has ended.

    Args:
        to_do: what is left of the grid.
        seconds: what its runs took so far, by data set.
    """
    so_far = [s for runs in seconds.values() for s in runs]
    if not so_far:
        return ""
    total = 0.0
    for experiment in to_do:
        runs = seconds.get(experiment.dataset, so_far)
        total += sum(runs) / len(runs)
    return in_words(total)


def in_words(seconds: float) -> str:
    """What stands behind a line of progress.

    >>> in_words(90)
    ', about 0:01:30 left'
    """
    return f", about {timedelta(seconds=round(seconds))} left"


def by_records(to_do: Sequence[Experiment], out: Path) -> str:
    """The time that training takes by what records in the same folder say, in words.

    A run takes as long for each iteration as the longest training like it: of the same algorithm on
    the same tasks, which may differ in seed, in length and in rates.

    Args:
        to_do: runs of one suite.
        out: the results folder.

    Returns:
        A sentence; "" where nothing is to be trained.

    Raises:
        BenchError: if a record of the suite, or of its tuning, is broken.
    """
    to_do = [e for e in to_do if e.iterations]
    if not to_do:
        return ""
    longest: dict[str, dict[str, Any]] = {}
    suite = to_do[0].suite
    for record in records.read_all(out, suite) + records.read_all(out, choices.tuning_of(suite)):
        training, like = record["training"], _like(record["experiment"])
        if training["seconds"] is None:
            continue
        if training["iterations"] > longest.get(like, {"iterations": 0})["iterations"]:
            longest[like] = training
    found = [(e, longest[_like(e.fields)]) for e in to_do if _like(e.fields) in longest]
    if not found:
        return (
            "How long that takes is not known: no record here has these settings; a short run, "
            "such as with --seeds 0 --set iterations=100, makes one."
        )
    total = sum(e.iterations * t["seconds"] / t["iterations"] for e, t in found)
    whom = "in all" if len(found) == len(to_do) else f"for {len(found)} of {len(to_do)} runs"
    return (
        f"About {timedelta(seconds=round(total))} of training {whom}, one run after the other, by "
        "records of the same settings."
    )


def _like(fields: dict[str, Any]) -> str:
    """What runs have in common of which an iteration takes the same time."""
    arguments = {
        name: value
        for name, value in (fields["data"] | fields["learner"]).items()
        if name not in FREE and not isinstance(value, float)
    }
    tasks = {name: fields[name] for name in ("dataset", "algorithm", "ways", "shots")}
    return json.dumps([tasks, arguments], sort_keys=True)
