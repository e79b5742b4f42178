"""Scores of test episodes, gathered by episode number whatever the devices and their order."""

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from bench.objectives import OBJECTIVES


class EpisodeScores(Metric):
    """Collects what an objective keeps of each episode after each inner step.

    A ``torchmetrics.Metric``, so that several devices are gathered by Lightning's own means.
    Every episode counts once: a copy of an episode number is dropped.

    Args:
        kind: a key of :data:`bench.objectives.OBJECTIVES`.
    """

    full_state_update = False

    def __init__(self, kind: str):
        super().__init__()
        self.objective = OBJECTIVES[kind]
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

    def compute(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Episode numbers ``[episodes]``, sorted, and each metric ``[episodes, steps]``."""

        def whole(name: str) -> np.ndarray:
            state = getattr(self, name)
            return (torch.cat(state) if isinstance(state, list) else state).cpu().numpy()

        index, first = np.unique(whole("index"), return_index=True)
        rows = {name: whole(name)[first] for name in self.objective.row_names}
        steps = range(rows[self.objective.row_names[0]].shape[1])
        scores = [self.objective.metrics({n: r[:, k] for n, r in rows.items()}) for k in steps]
        return index, {n: np.stack([s[n] for s in scores], 1) for n in self.objective.metric_names}
