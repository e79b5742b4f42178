"""The floor of student tasks: how often each item is answered right, whoever answers."""

import torch
from torch import Tensor, nn

from bench.episode import Episode
from bench.errors import BenchError
from bench.learner import MetaLearner
from bench.student_episodes import ITEM


class ItemMean(MetaLearner):
    """One log-odds per item, fitted to all answers of the training students; never adapted.

    Args:
        outer_lr: Adam's learning rate for the log-odds.
        outer_schedule: ``"cosine"`` lets the rate fall to zero over the whole run, so that the
            log-odds settle on the mean.
        **kwargs: see :class:`bench.learner.MetaLearner`.
    """

    def __init__(self, outer_lr: float = 0.1, outer_schedule: str = "cosine", **kwargs):
        super().__init__(outer_lr=outer_lr, outer_schedule=outer_schedule, **kwargs)

    def configure_model(self) -> None:
        """Builds the table of log-odds."""
        if not self.spec.items:
            raise BenchError("item_mean needs tasks whose inputs are item numbers (students)")
        self._given_model = (Table(self.spec.items),)
        super().configure_model()

    def loss(self, episode: Episode) -> Tensor:
        """Loss over all answers of each student, ``[tasks]``: its mean weighs answers alike."""
        x = torch.cat([episode.support_x, episode.query_x], 1)
        y = torch.cat([episode.support_y, episode.query_y], 1)
        weights = []
        for w, part in (episode.support_w, episode.support_y), (episode.query_w, episode.query_y):
            weights.append(torch.ones_like(part, dtype=self.dtype) if w is None else w)
        w = torch.cat(weights, 1)
        loss = self.objective.loss(self.net(x), y)
        return (loss * w).sum(1) / w.sum(1).mean()

    def predict(self, episode: Episode) -> Tensor:
        """Log-odds of each query item, ``[tasks, 1, query, 1]``."""
        return self.net(episode.query_x)[:, None]


class Table(nn.Module):
    """One number per item.

    Args:
        items: how many items there are.
    """

    def __init__(self, items: int):
        super().__init__()
        self.log_odds = nn.Parameter(torch.zeros(items, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Maps questions ``[..., columns]`` to log-odds ``[..., 1]``."""
        return self.log_odds[x[..., ITEM].long()]
