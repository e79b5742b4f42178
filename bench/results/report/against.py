"""Two results folders side by side: what each row of the tables is here, and what it is there."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bench.results import costs
from bench.results.answer_tables import missing
from bench.results.scores import paired, repetition
from bench.results.summary import cells, names, options, setting
from bench.results.tables import figure
from bench.tasks.statistics import Interval

FEW = 3  # names in a sentence
# arguments of the data that leave the test episodes as they are
TRAINING_ONLY = ("augmentation", "tasks_per_batch", "val_episodes")
PROVENANCE = ("device", "threads")  # where a run took place

Cells = dict[tuple, list[dict[str, Any]]]


class Comparison(NamedTuple):
    """What two folders have of the same.

    Attributes:
        lines: one entry a row of the table, from headings to words.
        sentences: what only one of them has.
    """

    lines: list[dict[str, str]]
    sentences: list[str]


def compare(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> Comparison:
    """Sets the rows of the tables beside each other that were made alike.

    Args:
        ours: records of one folder.
        theirs: of the other.
    """
    here, there = cells(list(ours)), cells(list(theirs))
    name_of, match_of = names(here), _matches(here, there)
    lines = []
    for key, other in match_of.items():
        words = {"Data": key[1], "Setting": setting(*key[2:4]), "Algorithm": name_of[key]}
        lines.append(words | _compared(here[key], there[other]))
    alone = [_names(here, match_of.keys()), _names(there, match_of.values())]
    return Comparison(
        lines,
        [
            *([] if lines else ["No row here was made like one there, so nothing is compared."]),
            *(_counted(rows, place) for rows, place in zip(alone, ("here", "there")) if rows),
        ],
    )


# Which rows belong together -----------------------------------------------------------------------


def _matches(here: Cells, there: Cells) -> dict[tuple, tuple]:
    """The cell there of each cell here: the one that was made with the same arguments.

    The variant of a cell's key depends on what else is in its folder, so the arguments themselves
    are compared. Where a single row of a method is left over on either side, these belong together,
    and the table says in what they differ.
    """
    by_arguments = {_arguments(k, m): k for k, m in there.items()}
    found = {k: by_arguments.get(_arguments(k, m)) for k, m in here.items()}
    taken = {*found.values()}
    for key in [k for k, match in found.items() if match is None]:
        rivals = [k for k, match in found.items() if match is None and k[:5] == key[:5]]
        left = [k for k in there if k not in taken and k[:5] == key[:5]]
        if len(rivals) == len(left) == 1:
            found[key] = left[0]
    return {key: match for key, match in found.items() if match is not None}


def _arguments(key: tuple, members: list[dict]) -> tuple:
    return key[:5], tuple(sorted(options(members[0]).items()))


def _names(members_of: Cells, matched: Iterable[tuple]) -> list[str]:
    """Those without a match, in words."""
    name_of, matched = names(members_of), {*matched}
    return [f"{k[1]} {setting(*k[2:4])}, {name_of[k]}" for k in members_of if k not in matched]


def _counted(rows: list[str], place: str) -> str:
    """How many rows there are only here, or only there.

    >>> _counted(["cub 5-way 1-shot, MAML"], "here")
    '1 row is only here: cub 5-way 1-shot, MAML.'
    """
    more = f"; and {len(rows) - FEW} more" if len(rows) > FEW else ""
    count = "1 row is" if len(rows) == 1 else f"{len(rows)} rows are"
    return f"{count} only {place}: {'; '.join(rows[:FEW])}{more}."


# What a row says ----------------------------------------------------------------------------------


def _compared(ours: list[dict], theirs: list[dict]) -> dict[str, str]:
    """Both values, their difference, in what they differ, and the times."""
    both = {repetition(r) for r in ours} & {repetition(r) for r in theirs}
    common = [[r for r in members if repetition(r) in both] for members in (ours, theirs)]
    differs = _differences(*(common if both else (ours, theirs)))
    change = _unpaired(ours, theirs, differs) or ("" if both else "no run in both: not paired")
    if len(both) < max(len(ours), len(theirs)):
        differs["runs"] = f"{len(ours)}, there {len(theirs)}, in both {len(both)}"
    shown = ours, theirs
    if not change:
        difference = paired(*common)
        change = "other episodes: not paired"
        if difference is not None:
            shown = common
            change = _difference(difference, [*common[0], *common[1]])
    return {
        "Here": _shown(shown[0]),
        "There": _shown(shown[1]),
        "Here − there": change,
        "Made otherwise": "; ".join(f"{name}: {words}" for name, words in differs.items()) or "-",
        "Time": _times(ours, theirs),
    }


def _differences(ours: list[dict], theirs: list[dict]) -> dict[str, str]:
    """The arguments and machines that are not the same, by their names, in words."""
    found = {}
    here, there = options(ours[0]), options(theirs[0])
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name):
            found[name] = f"{_plain(here.get(name))}, there {_plain(there.get(name))}"
    for name in ("metric", "tuned to", "data files", "code", *PROVENANCE):
        a, b = ({_fact(r, name) for r in members} for members in (ours, theirs))
        # older records do not say which files they were made of
        if a != b and not (name == "data files" and "-" in a | b):
            found[name] = f"{' and '.join(sorted(a))}, there {' and '.join(sorted(b))}"
    return found


def _fact(record: dict, name: str) -> str:
    """What a record says of itself beside its arguments."""
    if name == "metric":
        return record["metrics"]["headline"]
    if name == "tuned to":
        values = (record.get("tuned") or {"values": {}})["values"]
        return ", ".join(f"{n}={value}" for n, value in sorted(values.items())) or "-"
    if name == "code":  # of the user's own: checksums
        code = record["experiment"].get("code") or {}
        return ", ".join(f"{n} {str(version)[:15]}" for n, version in sorted(code.items())) or "-"
    value = record["provenance"].get("data" if name == "data files" else name)
    return "-" if value is None else str(value)


def _unpaired(ours: list[dict], theirs: list[dict], differs: Mapping[str, str]) -> str:
    """Why episodes of the same numbers are others, if they are."""
    of_data = {n for r in (ours[0], theirs[0]) for n in r["experiment"]["data"]}
    if "metric" in differs:
        return "another metric: not paired"
    if "data files" in differs or (of_data & differs.keys()) - {*TRAINING_ONLY}:
        return "other data: not paired"
    return ""


def _difference(difference: Interval, members: list[dict]) -> str:
    metric = members[0]["metrics"]["headline"]
    lacking = missing(metric, difference.mean, _mean(members, "nll"))
    return lacking or figure(metric, difference.mean, difference.half_width, sign=True)


def _plain(value: str | None) -> str:
    """An argument, which is stored as JSON, as a reader writes it."""
    return "-" if value is None else value.strip('"')


def _shown(members: list[dict]) -> str:
    metric = members[0]["metrics"]["headline"]
    value = _mean(members, metric)
    return missing(metric, value, _mean(members, "nll")) or figure(metric, value)


def _mean(members: list[dict], metric: str) -> float:
    values = [m["metrics"].get(metric, {}).get("mean") for m in members]
    return np.mean([np.nan if v is None else v for v in values])


def _times(ours: list[dict], theirs: list[dict]) -> str:
    """How a meta-iteration's time compares, where the same machine has measured both."""
    here, there = _by_machine(ours), _by_machine(theirs)
    same = [machine for machine in here if machine in there and None not in machine]
    if same:
        return f"{np.mean([np.mean(here[m]) / np.mean(there[m]) for m in same]):.2f} times"
    return "another machine" if here and there else "-"


def _by_machine(members: list[dict]) -> dict[tuple, list[float]]:
    """The times of those that have a cost: the first run of a cell, as a rule."""
    found: dict[tuple, list[float]] = {}
    for record in members:
        if time := (record["cost"] or {}).get("ms_per_iteration"):
            found.setdefault(costs.machine(record), []).append(time)
    return found
