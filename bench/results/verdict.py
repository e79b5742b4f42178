"""Which method predicts best on one data set, by how much and how surely: numbers from records.

A method is judged by what its records say of each student or class of images
(:mod:`bench.results.judged`). Methods are compared unit by unit, so that how hard a student is
cancels, and the intervals are over units: they hold for other students, or classes, like these.
Where several folds were run, units are pooled over them: each was predicted once, by a model that
had not seen it.

:mod:`bench.results.verdict_words` says it in words.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from bench.base.errors import BenchError
from bench.results import calibration, labels
from bench.results.judged import Judged, Run, complete, fold_of, judge
from bench.results.run_files import RunFiles
from bench.results.temperature import of_folds, with_temperature
from bench.tasks.statistics import interval

FLOORS = ("item_mean", "rasch", "random_init")  # what anything that learns more must beat clearly
BLIND = ("item_mean", "random_init")  # of these, what has learned nothing of how to adapt
MATTERS = {"log_loss": 0.01, "accuracy": 0.02}  # a difference that one would choose a method by


def numbers(runs: Sequence[Run]) -> dict[str, Any]:
    """What a verdict is made of, as plain data.

    Args:
        runs: of one suite that has one data set: every method, fold and number shown.

    Returns:
        ``judged_by`` (``"log_loss"`` or ``"accuracy"``), ``units`` of a test, ``settings``,
        ``methods`` with what each reached, ``best`` at each setting and ``overall`` with what it is
        told apart from, ``orders``, ``enough``, ``recommended``. Pairs of numbers are a mean and
        the half-width of its 95 % interval (None of what there is not, such as an AUC of answers
        that are all right); where a best method is compared with all others, the intervals hold
        for all of these comparisons together (Bonferroni).

    Raises:
        BenchError: if there are no runs, or no method has all folds.
    """
    if not runs:
        raise BenchError("there are no finished runs to compare")
    by_method: dict[str, dict[int, Judged]] = {}
    records_of: dict[str, list[dict]] = {}
    for run in runs:
        records_of.setdefault(run.record["experiment"]["algorithm"], []).append(run.record)
    for algorithm in records_of:
        own = [run for run in runs if run.record["experiment"]["algorithm"] == algorithm]
        by_method[algorithm] = judge(own)
    whole, left_out = complete(by_method)
    if not whole:
        raise BenchError("no method has finished on all parts of the students: run again")
    first = runs[0].record
    answers = first["metrics"]["headline"] == "auc"
    found = next(iter(whole.values()))
    settings = [n for n in sorted(found) if len(found[n].values) > 1]  # one student is no sample
    if not settings:
        raise BenchError("one student was tested: there is nothing to compare by")
    sign = 1 if answers else -1  # of log-loss less is better
    methods = [_method(n, whole[n], records_of[n], settings, answers) for n in whole]
    methods.sort(key=lambda m: sign * m["overall"])
    by = "log_loss" if answers else "accuracy"
    best = {n: _best({m: j[n].values for m, j in whole.items()}, sign) for n in settings}
    overall = _overall(best, whole, settings, sign)
    return {
        "judged_by": by,
        "dataset": first["experiment"]["dataset"],
        "ways": first["experiment"]["ways"],
        "settings": settings,
        "units": len(whole[methods[0]["algorithm"]][settings[0]].values),
        "folds": len({fold_of(run.record) for run in runs}),
        "methods": methods,
        "left_out": left_out,
        "best": {str(n): found for n, found in best.items()},
        "overall": overall,
        "orders": _orders(methods, whole, settings, sign),
        "enough": _enough(overall, by, len(whole[overall["method"]][settings[0]].values)),
        "recommended": _recommended(overall, methods, whole, settings, sign),
    }


# What a method reached ----------------------------------------------------------------------------


def _method(
    name: str, judged: dict[int, Judged], records: list[dict], settings: list[int], answers: bool
) -> dict[str, Any]:
    label = labels.of_record(records[0])
    reached = {str(n): _reached(judged[n], answers) for n in settings}
    at = {n: [r[n] for r in reached.values()] for n in ("judged", "headline")}
    first = min(records, key=fold_of)
    return {
        "algorithm": name,
        "label": str(label),
        "name": label.name,
        "order": label.order,
        "role": label.role,
        "settings": reached,
        "overall": _mean([m for m, _ in at["judged"]]),
        "headline": _mean([m for m, _ in at["headline"]]),
        "seconds": _mean([r["training"]["seconds"] or 0.0 for r in records]),
        "iterations": [r["training"]["best_iteration"] or 0 for r in sorted(records, key=fold_of)],
        "checkpoint": str(RunFiles.locate("", first["experiment"]).checkpoints / "best.ckpt"),
        **{n: _number(v) for n, v in with_temperature([judged[n] for n in settings]).items()},
    }


def _reached(judged: Judged, answers: bool) -> dict[str, Any]:
    rows = judged.rows
    known = judged.scores[np.isfinite(judged.scores)]  # answers that are all right have no AUC
    found = {
        "judged": _pair(interval(judged.values)),
        "headline": _pair(interval(known)) if len(known) else [None, None],
        "calibration_error": _number(calibration.expected_error(calibration.reliability([rows]))),
        "temperature": _number(of_folds(judged)),
    }
    if answers:
        right = (rows.probability[:, 0] > 0.5) == rows.answer
        found["accuracy"] = _number(right.mean())
    return found


# Comparisons --------------------------------------------------------------------------------------


def _difference(a: np.ndarray, b: np.ndarray, comparisons: int = 1) -> tuple[float, float]:
    """Mean of ``a - b`` over units, and the half-width that holds for so many comparisons."""
    each = a - b
    n = len(each)
    if n < 2:
        return float(each.mean()), math.inf
    error = each.std(ddof=1) / math.sqrt(n)
    return float(each.mean()), float(stdtrit(n - 1, 1 - 0.025 / max(comparisons, 1)) * error)


def _best(values: dict[str, np.ndarray], sign: int) -> dict[str, Any]:
    """The best method, and how far behind it each other one is; the nearest first."""
    best = min(values, key=lambda n: sign * values[n].mean())
    behind = []
    for name, own in values.items():
        if name != best:
            mean, half = _difference(sign * own, sign * values[best], len(values) - 1)
            behind.append({"method": name, "behind": _pair((mean, half)), "sure": mean > half})
    behind.sort(key=lambda b: b["behind"][0])
    return {"method": best, "value": _pair(interval(values[best])), "behind": behind}


def _together(differences: list[tuple[float, float]]) -> tuple[float, float]:
    """The mean of differences at several settings, which have the same students in part.

    Its half-width is the mean of theirs: the most that it can be, whatever the correlations.
    """
    means, halves = zip(*differences)
    return float(np.mean(means)), float(np.mean(halves))


def _overall(best: dict[int, dict], whole: dict, settings: list[int], sign: int) -> dict[str, Any]:
    """The same as :func:`_best` for the mean over all settings."""
    mean = {n: np.mean([sign * j[s].values.mean() for s in settings]) for n, j in whole.items()}
    first = min(mean, key=mean.get)
    behind = []
    for name in whole:
        if name != first:
            pair = _apart(whole, name, first, settings, sign, len(whole) - 1)
            behind.append({"method": name, "behind": _pair(pair), "sure": pair[0] > pair[1]})
    behind.sort(key=lambda b: b["behind"][0])
    wins = sum(found["method"] == first for found in best.values())
    return {
        "method": first,
        "value": _number(sign * mean[first]),
        "behind": behind,
        "best_at": wins,
    }


def _apart(
    whole: dict, a: str, b: str, settings: list[int], sign: int, comparisons: int = 1
) -> tuple[float, float]:
    """How far ``a`` is behind ``b`` over all settings."""
    return _together(
        [
            _difference(sign * whole[a][n].values, sign * whole[b][n].values, comparisons)
            for n in settings
        ]
    )


def _orders(methods: list[dict], whole: dict, settings: list[int], sign: int) -> list[dict]:
    """Second against first order of each method that has both; above 0: second is ahead.

    Of one training each, or one a fold: ``sure`` is over units, and no verdict over seeds.
    """
    found = []
    for second in methods:
        for first in methods:
            if second["order"] == 2 and first["order"] == 1 and second["name"] == first["name"]:
                a, b = first["algorithm"], second["algorithm"]
                each = {str(n): _pair(_apart(whole, a, b, [n], sign)) for n in settings}
                mean, half = _apart(whole, a, b, settings, sign)
                found.append(
                    {
                        "method": second["name"],
                        "second": b,
                        "first": a,
                        "gain": _pair((mean, half)),
                        "sure": abs(mean) > half,
                        "settings": each,
                        "times": _number(second["seconds"] / max(first["seconds"], 1e-9)),
                    }
                )
    return found


def _enough(overall: dict[str, Any], judge: str, units: int) -> dict[str, Any]:
    """What difference this many units can tell, and how many would tell one that matters."""
    if not overall["behind"]:
        return {"units": units, "resolution": None, "matters": MATTERS[judge], "needed": None}
    # against rivals: a floor far behind varies more, and is told apart all the same
    near = overall["behind"][: max(len(overall["behind"]) // 2, 1)]
    resolution = float(np.median([b["behind"][1] for b in near]))
    needed = math.ceil(units * (resolution / MATTERS[judge]) ** 2)
    return {
        "units": units,
        "resolution": _number(resolution),
        "matters": MATTERS[judge],
        "needed": needed,
    }


def _recommended(
    overall: dict, methods: list[dict], whole: dict, settings: list[int], sign: int
) -> dict[str, Any]:
    """The best method if it is clearly better than the best floor, otherwise that floor.

    ``gain`` is over that floor; ``adapts`` says whether any method is clearly better than the best
    that takes no notice of the answers shown.
    """
    floors = [m["algorithm"] for m in methods if m["algorithm"] in FLOORS]  # the best first
    blind = [name for name in floors if name in BLIND]
    best, gain = overall["method"], None
    chosen = best
    if floors and best not in floors:
        gain = _apart(whole, floors[0], best, settings, sign, len(whole) - 1)
        chosen = best if gain[0] > gain[1] else floors[0]
    adapts = None
    if blind:
        others = [name for name in whole if name not in blind]
        ahead = [_apart(whole, blind[0], n, settings, sign, len(whole) - 1) for n in others]
        adapts = any(mean > half for mean, half in ahead)
    return {
        "method": chosen,
        "floor": floors[0] if floors else None,
        "gain": None if gain is None else _pair(gain),
        "adapts": adapts,
    }


# Plain numbers ------------------------------------------------------------------------------------


def _number(value: float) -> float | None:
    """Rounded as far as anybody reads; None where it is not finite."""
    return round(float(value), 5) if math.isfinite(value) else None


def _pair(values: Sequence[float]) -> list[float | None]:
    return [_number(v) for v in values]


def _mean(values: Sequence[float | None]) -> float | None:
    """Over those that there are."""
    known = [v for v in values if v is not None]
    return round(float(np.mean(known)), 5) if known else None
