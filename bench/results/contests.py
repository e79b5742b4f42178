"""Who did how well where: what a ranking of methods is counted from."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.results.failed import Failure
from bench.results.labels import label
from bench.results.scores import repetition
from bench.results.summary import options


def of_cells(
    members_of: dict, name_of: dict, methods: list[str], diverged: Sequence[Failure]
) -> list[np.ndarray]:
    """What was reached on each data set: scores ``[settings, methods, runs]``, NaN where not run.

    The larger the better; minus infinity of a run that diverged. A run is one seed, fold and
    version, whichever methods have it.

    Args:
        members_of: the cells of a summary and their records.
        name_of: the method of each cell.
        methods: all of them, in the order of the scores.
        diverged: the runs that have no record because of it.
    """
    found = []
    by_data: dict[tuple | str, dict[tuple, dict[tuple, list[dict]]]] = {}
    for key, members in members_of.items():
        settings = by_data.setdefault(data_of(key, members), {})
        settings.setdefault(key[:4], {})[key] = members
    for settings in by_data.values():
        compared = [setting for setting in settings.values() if len(setting) > 1]
        runs = sorted({repetition(m) for s in compared for own in s.values() for m in own})
        scores = np.full((len(compared), len(methods), len(runs)), np.nan)
        for number, setting in enumerate(compared):
            for key, members in setting.items():
                columns = [runs.index(repetition(m)) for m in members]
                scores[number, methods.index(name_of[key]), columns] = [_score(m) for m in members]
            for name, run in _lost(setting, name_of, diverged):
                if name in methods and run in runs:
                    scores[number, methods.index(name), runs.index(run)] = -np.inf
        if compared:
            found.append(scores)
    return found


def data_of(key: tuple, members: list[dict]) -> tuple | str:
    """The data set of a cell; all that one training is tested on is one, and no more evidence."""
    sources = _sources(members[0]["experiment"])
    return tuple(sources) if sources else key[1]


def _lost(
    setting: dict[tuple, list[dict]], name_of: dict, diverged: Sequence[Failure]
) -> list[tuple[str, tuple]]:
    """The method and the repetition of each run that would have been of a setting, but diverged."""
    found = []
    for e in (failure.experiment for failure in diverged):
        if _is_of(e, setting):
            rivals = {k: members[0] for k, members in setting.items() if k[4] == e["algorithm"]}
            own = [name_of[key] for key, record in rivals.items() if _are_alike(e, record)]
            if not rivals:  # none of its runs has a record here
                own = [str(label(e["algorithm"], e["learner"]))]
            found += [(name, repetition({"experiment": e})) for name in own]
    return found


def _is_of(experiment: dict[str, Any], setting: dict[tuple, list[dict]]) -> bool:
    """Whether a run would have been tested in a setting."""
    (key, members), *_ = setting.items()
    suite, dataset, ways, shots = key[:4]
    sources = _sources(members[0]["experiment"])
    is_same_data = experiment["dataset"] == dataset or (sources and _sources(experiment) == sources)
    tested = experiment["data"].get("tested_shots") or [experiment["shots"]]
    is_same_suite = (experiment["suite"], experiment["ways"]) == (suite, ways)
    return bool(is_same_suite and is_same_data and shots in tested)


def _sources(experiment: dict[str, Any]) -> list[str] | None:
    return experiment["data"].get("train_datasets")


def _are_alike(experiment: dict[str, Any], record: dict[str, Any]) -> bool:
    """Whether a run was made with the arguments of a record, what was tuned apart."""
    tuned = (record.get("tuned") or {"values": {}})["values"]
    given, wanted = (options(r) for r in ({"experiment": experiment}, record))
    return all(given.get(n) == wanted.get(n) for n in (given.keys() | wanted.keys()) - tuned.keys())


def _score(record: dict) -> float:
    """The headline, signed so that more is better; what has diverged is the worst."""
    metrics = record["metrics"]
    mean = metrics[metrics["headline"]]["mean"]
    if mean is None:
        return -np.inf
    return mean if metrics["higher_is_better"] else -mean
