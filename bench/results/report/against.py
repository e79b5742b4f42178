"""Two results folders side by side: what each row of the tables is here, and what it is there."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.results.answer_tables import missing
from bench.results.scores import paired
from bench.results.summary import cells, names, setting
from bench.results.tables import figure


def lines(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """One entry a row that both have, in words.

    Args:
        ours: records of one folder.
        theirs: of the other.
    """
    here, there = cells(list(ours)), cells(list(theirs))
    name_of, found = names(here), []
    for key, members in here.items():
        if key not in there:
            continue
        metric = members[0]["metrics"]["headline"]
        difference = paired(members, there[key])
        change = "other episodes or seeds: not paired"
        if difference is not None:
            change = missing(metric, difference.mean, _mean([*members, *there[key]], "nll"))
            change = change or figure(metric, difference.mean, difference.half_width, sign=True)
        found.append(
            {
                "Data": key[1],
                "Setting": setting(*key[2:4]),
                "Algorithm": name_of[key],
                "Here": _shown(members, metric),
                "There": _shown(there[key], metric),
                "Here − there": change,
                "Time": _times(members, there[key]),
            }
        )
    return found


def _shown(members: list[dict], metric: str) -> str:
    value = _mean(members, metric)
    return missing(metric, value, _mean(members, "nll")) or figure(metric, value)


def _mean(members: list[dict], metric: str) -> float:
    values = [m["metrics"].get(metric, {}).get("mean") for m in members]
    return np.mean([np.nan if v is None else v for v in values])


def _times(ours: list[dict], theirs: list[dict]) -> str:
    times = [
        np.mean([(m["cost"] or {}).get("ms_per_iteration") or np.nan for m in members])
        for members in (ours, theirs)
    ]
    return "-" if np.isnan(times).any() else f"{times[0] / times[1]:.2f} times"
