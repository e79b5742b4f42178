"""Scores of test episodes, gathered by episode number whatever the devices and their order."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from bench.tasks.data_module import EpisodeDataModule
from bench.tasks.episode import View
from bench.tasks.objectives import OBJECTIVES
from bench.tasks.statistics import interval

MOST_PARTS = 100  # tensors that a state is kept in


class EpisodeScores(Metric):
    """Collects what an objective keeps of each episode after each inner step.

    A ``torchmetrics.Metric``, so that several devices are gathered by Lightning's own means.
    Every episode counts once: a copy of an episode number is dropped.

    Args:
        kind: a key of :data:`bench.tasks.objectives.OBJECTIVES`.
    """

    full_state_update = False

    def __init__(self, kind: str):
        super().__init__()
        self.kind, self.objective = kind, OBJECTIVES[kind]
        for name in ("index", *self.objective.row_names):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, index: Tensor, outputs: Tensor, y: Tensor, w: Tensor | None) -> None:
        """Adds a batch of episodes.

        Args:
            index: ``[tasks]`` episode numbers.
            outputs: ``[tasks, steps, query, outputs]``.
            y: targets of the query.
            w: ``[tasks, query]`` weights, or None.
        """
        steps = [self.objective.rows(outputs[:, k], y, w) for k in range(outputs.shape[1])]
        self.index.append(index)
        for name in self.objective.row_names:
            getattr(self, name).append(torch.stack([s[name] for s in steps], 1).detach())
        if len(self.index) > MOST_PARTS:  # many small tensors would leave holes in the memory
            for name in ("index", *self.objective.row_names):
                setattr(self, name, [torch.cat(getattr(self, name))])

    def compute(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Episode numbers ``[episodes]``, sorted, and what is kept, ``[episodes, steps, ...]``."""

        def whole(name: str) -> np.ndarray:
            state = getattr(self, name)
            return (torch.cat(state) if isinstance(state, list) else state).cpu().numpy()

        index, first = np.unique(whole("index"), return_index=True)
        return index, {name: whole(name)[first] for name in self.objective.row_names}

    def views(self, split: str, data: Any) -> "list[Scores]":
        """What the episodes so far come to.

        Args:
            split: ``"val"`` or ``"test"``.
            data: where they are from. A data module of the suite says what is scored apart; of
                anything else, or None, all episodes are scored together.
        """
        index, rows = self.compute()
        if not isinstance(data, EpisodeDataModule):
            return scores(self.kind, rows, index, index, [])
        return scores(self.kind, rows, index, data.unit(split, index), data.views(split))


class Scores(NamedTuple):
    """The scores of one view: all episodes with the same number of answers shown, or of a source.

    Attributes:
        view: which; None: the whole list.
        index: ``[episodes]`` int64.
        episode: each metric of each episode, ``[episodes, steps]``.
        pooled: metrics that exist over all episodes together alone, ``[steps]`` each.
    """

    view: View | None
    index: np.ndarray
    episode: dict[str, np.ndarray]
    pooled: dict[str, np.ndarray]


def scores(
    kind: str,
    rows: dict[str, np.ndarray],
    index: np.ndarray,
    unit: np.ndarray,
    views: Sequence[View],
) -> list[Scores]:
    """From what was kept of each episode to metrics.

    Args:
        kind: a key of :data:`bench.tasks.objectives.OBJECTIVES`.
        rows: ``[episodes, steps, ...]`` each.
        index: ``[episodes]`` episode numbers, sorted.
        unit: ``[episodes]`` what each belongs to: episodes of one unit, such as a student asked
            again after each answer, count as one.
        views: stretches of units that are scored apart; empty: all together.
    """
    objective = OBJECTIVES[kind]
    if not np.array_equal(unit, index):
        index, rows = _gather_units(rows, unit)
    found = []
    for view in views or [None]:
        first = 0 if view is None else view.first
        end = None if view is None or view.episodes is None else first + view.episodes
        within = (index >= first) & (end is None or index < end)
        if not within.any():
            continue
        inside = {n: r[within] for n, r in rows.items()}
        steps = range(next(iter(inside.values())).shape[1])
        at = [{n: r[:, k] for n, r in inside.items()} for k in steps]
        each, pooled = [objective.metrics(r) for r in at], [objective.pooled(r) for r in at]
        found.append(
            Scores(
                view,
                index[within],
                {n: np.stack([s[n] for s in each], 1) for n in objective.metric_names},
                {n: np.array([s[n] for s in pooled]) for n in pooled[0]},
            )
        )
    return found


def concatenate(parts: Sequence[Scores]) -> dict[str, np.ndarray]:
    """``index``, ``[episodes]``, and each metric, ``[episodes, steps]``, of view after view."""
    names = parts[0].episode
    return {
        "index": np.concatenate([part.index for part in parts]),
        **{name: np.concatenate([part.episode[name] for part in parts]) for name in names},
    }


def figures(split: str, episodes: dict[str, np.ndarray]) -> dict[str, float]:
    """What is logged: the mean of each metric after the last inner step, such as ``val/accuracy``.

    Of a test also ``test/accuracy_ci95``, the half-width of its 95 % interval, and, where something
    adapts in steps, the mean after each: ``test/accuracy_step0`` and so on.

    Args:
        split: ``"val"`` or ``"test"``.
        episodes: from :func:`concatenate`.
    """
    found = {}
    for name, values in episodes.items():
        if name == "index":
            continue
        mean, half_width = interval(values[:, -1])
        found[f"{split}/{name}"] = mean
        if split == "test":
            found[f"{split}/{name}_ci95"] = half_width
            if values.shape[1] > 1:
                steps = enumerate(values.mean(0))
                found |= {f"{split}/{name}_step{k}": float(mean) for k, mean in steps}
    return found


def report(
    episode: dict[str, np.ndarray], pooled: dict[str, np.ndarray]
) -> dict[str, dict[str, Any]]:
    """What a record holds of each metric: mean, 95 % interval and course over the inner steps.

    Args:
        episode: ``[episodes, steps]`` each.
        pooled: ``[steps]`` each; they have no interval.
    """
    found = {
        name: {
            "mean": interval(values[:, -1]).mean,
            "ci95": interval(values[:, -1]).half_width,
            "per_step": values.mean(0).tolist(),
        }
        for name, values in episode.items()
    }
    for name, values in pooled.items():
        found[name] = {"mean": values[-1], "ci95": None, "per_step": values.tolist()}
    return found


def _gather_units(rows: dict[str, np.ndarray], unit: np.ndarray):
    """The rows ``[episodes, steps, query]`` of each unit in turn; 0 pads, weights too."""
    units, number = np.unique(unit, return_inverse=True)
    order = np.argsort(number, kind="stable")
    sizes = np.bincount(number)
    place = np.arange(len(unit)) - np.repeat(sizes.cumsum() - sizes, sizes)
    gathered = {}
    for name, values in rows.items():
        whole = np.zeros((len(units), values.shape[1], sizes.max(), values.shape[2]), values.dtype)
        whole[number[order], :, place] = values[order]
        gathered[name] = whole.reshape(len(units), values.shape[1], -1)
    return units, gathered
