"""What of a table says which runs have failed."""

from collections.abc import Sequence

import pandas as pd

from bench.results.failed import Failure
from bench.results.labels import label
from bench.results.summary import setting

LISTED = 10  # of the failed runs of a suite, in a printed table; the CSV has all


def heading(failed: Sequence[Failure], runs: int) -> str:
    """How many have failed, of all that were tried.

    Args:
        failed: the runs without a record.
        runs: how many have one.
    """
    return f"Failed: {len(failed)} of {runs + len(failed)} runs"


def lines(failed: Sequence[Failure]) -> list[str]:
    """One line for each failed run: which, and why."""
    found = [f"{name(f)}: {f.message}" for f in failed[:LISTED]]
    if len(failed) > LISTED:
        found.append(f"and {len(failed) - LISTED} more")
    return found


def name(failure: Failure) -> str:
    """Which run it is, in the words of the table."""
    e = failure.experiment
    parts = (e["dataset"], setting(e["ways"], e["shots"]), str(label(e["algorithm"], e["learner"])))
    return ", ".join([*parts, f"seed {e['seed']}"])


def markdown(failed: Sequence[Failure], runs: int) -> str:
    """A list to stand below a table; arguments as for :func:`heading`."""
    text = "\n".join([f"**{heading(failed, runs)}.**", "", *(f"* {x}" for x in lines(failed))])
    return text.replace("<", "&lt;")


def rows(failed: Sequence[Failure]) -> pd.DataFrame:
    """A row without results for each failed run, in columns of the summary and ``failure``."""
    found = []
    for failure in failed:
        e = failure.experiment
        row = {n: e[n] for n in ("suite", "dataset", "ways", "shots", "algorithm", "iterations")}
        row |= {
            "setting": setting(e["ways"], e["shots"]),
            "label": str(label(e["algorithm"], e["learner"])),
        }
        found.append(row | {"runs": 0, "failure": f"seed {e['seed']}: {failure.message}"})
    return pd.DataFrame(found)
