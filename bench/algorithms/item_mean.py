"""The floor of student tasks: how often each item is answered right, whoever answers."""

import torch
from torch import Tensor, nn

from bench.learning.direct_fit import Answers, DirectlyFitted
from bench.learning.outer_schedule import OuterSchedule
from bench.learning.student_learner import rows_of
from bench.tasks.episode import Episode, TaskSpec
from bench.tasks.questions import ITEM


class ItemMean(DirectlyFitted):
    """One log-odds per item, fitted to all answers of the training students; never adapted.

    Items that were unknown in training get the mean over those whose number was withheld there.
    An item that everybody answered alike counts as half an answer less extreme, so that its
    log-odds are finite; one without any answer has the log-odds of all.

    Args:
        outer_lr: Adam's learning rate for the log-odds, where it is fitted to episodes.
        outer_schedule: ``"cosine"`` lets that rate fall to zero over the whole run.
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    label = "item mean"
    role = "floor"
    recordable = True
    queries_apart = True

    def __init__(self, outer_lr: float = 0.1, outer_schedule: OuterSchedule = "cosine", **kwargs):
        super().__init__(outer_lr=outer_lr, outer_schedule=outer_schedule, **kwargs)

    def build(self, spec: TaskSpec) -> nn.Module:
        """The table of log-odds."""
        return Table(spec.items)

    def loss(self, episode: Episode) -> Tensor:
        """Minus the log-likelihood of all answers of each student, ``[tasks]``."""
        rows = rows_of(episode)
        return (self.objective.loss(self.net(rows.x), rows.y) * rows.counts).sum(1)

    def solve(self, answers: Answers) -> None:
        """The share of right answers to each item."""
        item = answers.questions[:, ITEM].long()
        right, asked = (
            _totals(table).new_zeros(len(self.net.log_odds)).index_add(0, item, _totals(table))
            for table in (answers.right, answers.asked)
        )
        half = 0.5 / asked.clamp_min(1)
        share = (right / asked.clamp_min(1)).clamp(half, 1 - half)
        every = (right.sum() / asked.sum()).clamp(half.min(), 1 - half.min())
        self.net.log_odds.data[:, 0] = torch.where(asked > 0, share, every).logit()

    def predict(self, episode: Episode) -> Tensor:
        """Log-odds of each query item, ``[tasks, 1, query, 1]``."""
        return self.net(episode.query_x)[:, None]


def _totals(table: Tensor) -> Tensor:
    """Sums over students, ``[questions]``."""
    return table.sum(0).to_dense()


class Table(nn.Module):
    """One number per item.

    Args:
        items: how many items there are.
    """

    recordable = True

    def __init__(self, items: int):
        super().__init__()
        self.log_odds = nn.Parameter(torch.zeros(items, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Maps questions ``[..., columns]`` to log-odds ``[..., 1]``."""
        return self.log_odds[x[..., ITEM].long()]
