"""What a test says of each student or class of images, from records and the predictions kept.

A **unit** is what intervals are over: a student, of whom the mean log-loss of the answers asked for
counts, or a class of images, of which the share of its queries that were told does.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import log_softmax

from bench.results.predictions import Predictions
from bench.results.views import by_shots

LEAST_PROBABILITY = 1e-7  # single precision has no more between it and 1, and 0 has no logarithm


class Run(NamedTuple):
    """A record, and what was predicted in its test."""

    record: dict[str, Any]
    rows: Predictions


class Judged(NamedTuple):
    """A method after so many answers, or with so many examples.

    Attributes:
        units: ``[units, 2]`` fold, and number of the student or class.
        values: ``[units]`` mean log-loss, or share right.
        scores: ``[episodes]`` headline metric of each test episode, whose mean is reported.
        rows: predictions of all folds, ``unit`` made different between them.
        temperature: ``[rows]`` of the row's fold, from its validation episodes; 1 where a record
            has none.
    """

    units: np.ndarray
    values: np.ndarray
    scores: np.ndarray
    rows: Predictions
    temperature: np.ndarray


def fold_of(record: dict[str, Any]) -> int:
    """Which fold a record is of; 0 where there are none."""
    fold = record["experiment"]["data"].get("fold")
    return fold if isinstance(fold, int) else 0


def judge(runs: Sequence[Run]) -> dict[int, Judged]:
    """A method at each number of answers or examples shown, its folds joined."""
    parts: dict[int, list[tuple[int, dict, Predictions]]] = {}
    for record, rows in runs:
        for view in by_shots([record]):
            shots = view["experiment"]["shots"]
            part = rows.of(view["evaluation"]["index"])
            parts.setdefault(shots, []).append((fold_of(record), view, part))
    return {shots: _joined(sorted(found, key=lambda f: f[0])) for shots, found in parts.items()}


def _joined(parts: list[tuple[int, dict, Predictions]]) -> Judged:
    units, values, scores, rows, temperature, first = [], [], [], [], [], 0
    for fold, view, part in parts:
        classes = len(part.names) > 0
        own = part.answer if classes else part.unit
        names, number = np.unique(own, return_inverse=True)
        each = (part.predicted == part.answer) if classes else log_loss(logs_of(part), part)
        units.append(np.stack([np.full(len(names), fold), names], 1))
        values.append(np.bincount(number, each) / np.bincount(number))
        headline = view["metrics"]["headline"]
        scores.append(np.array(view["evaluation"]["per_episode"][headline], float))
        rows.append(part._replace(unit=part.unit + first))
        first += int(part.unit.max()) + 1
        temperature.append(np.full(len(part.unit), view["training"].get("temperature") or 1.0))
    joined = (np.concatenate([getattr(r, n) for r in rows]) for n in Predictions._fields[:4])
    return Judged(
        np.concatenate(units),
        np.concatenate(values),
        np.concatenate(scores),
        Predictions(*joined, rows[0].names),
        np.concatenate(temperature),
    )


def complete(by_method: dict[str, dict[int, Judged]]) -> tuple[dict, list[str]]:
    """The methods that were tested on all units that any was, and the names of the others."""
    most: dict[int, np.ndarray] = {}
    for judged in by_method.values():
        for shots, one in judged.items():
            if len(one.units) > len(most.get(shots, ())):
                most[shots] = one.units
    whole = {
        name: judged
        for name, judged in by_method.items()
        if judged.keys() == most.keys()
        and all(np.array_equal(judged[n].units, units) for n, units in most.items())
        and all(np.isfinite(one.values).all() for one in judged.values())
    }
    return whole, [name for name in by_method if name not in whole]


def logs_of(rows: Predictions) -> np.ndarray:
    """Logarithms of the probabilities of all outcomes, ``[rows, outcomes]``; wrong and right."""
    p = rows.probability.astype(float)
    p = p if len(rows.names) else np.concatenate([1 - p, p], 1)
    return np.log(p.clip(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))


def log_loss(logs: np.ndarray, rows: Predictions) -> np.ndarray:
    """Of each row, from logarithms that need not be normalised."""
    true = (rows.classes == rows.answer[:, None]).argmax(1) if len(rows.names) else rows.answer
    return -log_softmax(logs, 1)[np.arange(len(logs)), true]
