"""How the hyper-parameters of a run were chosen: what records say of it is what happened.

A value is the best of some trials where it was taken from them (``Experiment.tuned``), or where a
suite has it and these trials are there: records of a sweep (:mod:`bench.running.tuning`) in the
same results folder.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.results import records
from bench.results.tuned import judge
from bench.running.experiment import Experiment

TRIAL = "a trial of the sweep"
SEARCH = "a trial of the search"  # of as many for every algorithm, in the ranges that it declares
# what a sweep leaves to each run: where it was tried once, and how long
FREE = ("iterations", "validations", "seed", "fold", "version", "num_workers", "val_episodes")


def tuning_of(suite: str) -> str:
    """The name of the suite that the trials of a suite are recorded as."""
    return f"{suite}-tuning"


def describe(experiment: Experiment, out: Path) -> str:
    """How the hyper-parameters of an experiment were chosen, in words.

    Args:
        experiment: of a suite.
        out: the results folder, whose trials count.

    Returns:
        What its record says as ``chosen``.
    """
    if experiment.chosen is not None:
        return experiment.chosen
    by_user = {text.partition("=")[0] for text in experiment.set_by_user}
    if experiment.tuned:
        of, suite = experiment.tuned, experiment.suite
        parts = [best_of(of["values"], of["trials"], suite)]
    else:
        parts = tuned(experiment.fields, out, by_user)
    if experiment.set_by_user:
        parts.append(f"set by the user: {', '.join(experiment.set_by_user)}")
    return "; ".join([*parts, "others: default" if parts else "default"])


def best_of(names: Iterable[str], trials: int, suite: str) -> str:
    """The words for arguments that are the best of trials.

    >>> best_of(["inner_lr", "outer_lr"], 16, "methods")
    'inner_lr and outer_lr: best of 16 trials on validation episodes (methods-tuning)'
    """
    words = " and ".join(sorted(names))
    return f"{words}: best of {trials} trials on validation episodes ({tuning_of(suite)})"


def tuned(fields: dict[str, Any], out: Path, by_user: frozenset | set = frozenset()) -> list[str]:
    """Which values are the best of trials, such as ``inner_lr: best of 4 trials ...``.

    Args:
        fields: of an experiment, as in its record.
        out: the results folder.
        by_user: names of arguments that do not count.
    """
    suite = tuning_of(fields["suite"])
    trials = [t for t in records.read_all(out, suite) if _is_of(t["experiment"], fields)]
    trials = [t for t in trials if t["chosen"] == TRIAL]
    values = [_arguments(t["experiment"]) for t in trials]
    swept = sorted(n for n in set().union(*values) if len({_text(v.get(n)) for v in values}) > 1)
    trials = [t for t in trials if _agrees(_arguments(t["experiment"]), _arguments(fields), swept)]
    if len(trials) < 2 or not swept:
        return []
    best = max(trials, key=_score)
    own, of_best = _arguments(fields), _arguments(best["experiment"])
    if any(own.get(n) != of_best.get(n) for n in swept) or by_user & set(swept):
        return []
    return [best_of(swept, len(trials), fields["suite"])]


def _is_of(trial: dict[str, Any], fields: dict[str, Any]) -> bool:
    """Whether a trial is of the same algorithm on the same tasks."""
    return all(trial[n] == fields[n] for n in ("dataset", "algorithm", "ways", "shots"))


def _agrees(trial: dict[str, Any], own: dict[str, Any], swept: list[str]) -> bool:
    """Whether a trial differs in what is swept alone."""
    shared = (trial.keys() & own.keys()) - {*swept, *FREE}
    return all(trial[n] == own[n] for n in shared)


def _arguments(fields: dict[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in (fields["data"] | fields["learner"]).items() if n not in FREE}


def _score(trial: dict[str, Any]) -> float:
    metric, higher_is_better = judge(trial)
    mean = trial["metrics"][metric]["mean"]
    if mean is None:  # it diverged
        return -float("inf")
    return mean if higher_is_better else -mean


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
