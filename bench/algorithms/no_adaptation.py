"""A floor: the network trained on all tasks together and never adapted."""

from torch import Tensor

from bench.learning.learner import MetaLearner
from bench.tasks.episode import Episode


class NoAdaptation(MetaLearner):
    """Joint training on the query of every task; nothing adapts to the support set.

    What a method must beat to show that it adapts at all. On few-shot classification, where
    labels are drawn anew in each episode, it is chance.

    Args:
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    label = "no adaptation (joint training)"
    role = "baseline"
    recordable = True
    queries_apart = True

    def loss(self, episode: Episode) -> Tensor:
        """Loss on the query, ``[tasks]``."""
        loss = self.mean_loss(self.predict(episode)[:, 0], episode.query_y, episode.query_w)
        return loss + self.prior

    def predict(self, episode: Episode) -> Tensor:
        """Outputs of the one shared network, ``[tasks, 1, query, outputs]``."""
        shared = {
            n: p.expand(len(episode.query_y), *p.shape) for n, p in self.net.named_parameters()
        }
        return self.query_outputs(shared, episode)[:, None]
