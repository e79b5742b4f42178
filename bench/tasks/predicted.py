"""The predictions of test episodes row by row, gathered whatever the devices and their order."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from bench.tasks.episode import Episode

NONE = -1  # a class number that an episode lacks


class PredictedRows(Metric):
    """Collects what is predicted of each query row after the last inner step.

    A ``torchmetrics.Metric``, so that several devices are gathered by Lightning's own means. Every
    row counts once: copies of an episode are dropped, and padding is.

    Args:
        classifies: whether rows have one of several classes; else they are right or wrong.
    """

    full_state_update = False
    names = ("index", "row", "answer", "probability", "classes")

    def __init__(self, classifies: bool):
        super().__init__()
        self.classifies = classifies
        for name in self.names:
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, episode: Episode, probability: Tensor) -> None:
        """Adds a batch of episodes.

        Args:
            episode: with the numbers of the episodes.
            probability: ``[tasks, query, outputs]``.
        """
        tasks, rows, outputs = probability.shape
        y, numbers = episode.query_y.long(), episode.class_numbers
        if not self.classifies:
            numbers = y.new_full((tasks, 1), NONE)
        elif numbers is None:  # nothing is known but the numbers within the episode
            numbers = torch.arange(outputs, device=y.device).expand(tasks, outputs)
        if self.classifies:
            missing = outputs - numbers.shape[1]
            numbers = torch.nn.functional.pad(numbers, (0, missing), value=NONE)
            y = numbers.gather(1, y)
        used = (
            torch.ones_like(y, dtype=torch.bool) if episode.query_w is None else episode.query_w > 0
        )
        place = torch.arange(rows, device=y.device).expand(tasks, rows)
        parts = {
            "index": episode.index[:, None].expand(tasks, rows),
            "row": place,
            "answer": y,
            "probability": probability.detach().float(),
            "classes": numbers[:, None].expand(tasks, rows, -1).int(),
        }
        for name, values in parts.items():
            getattr(self, name).append(values[used])

    def compute(self) -> dict[str, np.ndarray]:
        """``index``, ``answer`` ``[rows]`` and ``probability``, ``classes`` ``[rows, outputs]``.

        In the order of the episodes' numbers and of their rows. The answer is the number of the
        row's class in its split (or 0 and 1), ``classes`` are those of the episode's outputs.
        """

        def whole(name: str) -> Any:
            state = getattr(self, name)
            return (torch.cat(state) if isinstance(state, list) else state).cpu().numpy()

        found = {name: whole(name) for name in self.names}
        places = np.stack([found["index"], found.pop("row")], 1)
        _, first = np.unique(places, axis=0, return_index=True)
        return {name: values[first] for name, values in found.items()}
