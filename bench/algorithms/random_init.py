"""A floor: fine-tuning from random weights."""

import torch
from torch import Tensor

from bench.algorithms.maml import MAML
from bench.tasks.episode import Episode


class RandomInit(MAML):
    """Adapts as MAML does, from the random initial weights: nothing is meta-learned.

    Training leaves the weights as they are, so what the inner loop brings by itself is seen.

    Args:
        **kwargs: see :class:`bench.algorithms.maml.MAML`.
    """

    label = "fine-tune from random init"
    role = "baseline"

    trains = False

    def loss(self, episode: Episode) -> Tensor:
        """Zero for every task, so that no weight ever moves."""
        still = sum(p.sum() for p in self.net.parameters()) * 0
        return torch.zeros(len(episode.query_y), device=self.device) + still

    def on_train_start(self) -> None:
        """Ends training before it begins."""
        self.trainer.should_stop = True
