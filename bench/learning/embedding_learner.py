"""What methods share that embed every row by one network and tell classes from what is embedded."""

import torch
from torch import Tensor, nn

from bench.learning.learner import MetaLearner
from bench.learning.networks import features_of
from bench.tasks import kinds
from bench.tasks.episode import Episode, TaskSpec


class EmbeddingLearner(MetaLearner):
    """Predicts the query from its embedded rows and those of the support; no weight adapts.

    A subclass implements :meth:`query_from`. What is learned of the network are its ``features``;
    its last layer is not used.

    Args:
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    queries_apart = True

    def query_from(self, support: Tensor, query: Tensor, episode: Episode) -> Tensor:
        """Outputs for the query.

        Args:
            support: ``[tasks, support, width]``, embedded.
            query: ``[tasks, query, width]``, embedded.
            episode: the tasks, whose targets of the support are known.

        Returns:
            ``[tasks, query, outputs]``.
        """
        raise NotImplementedError

    def build(self, spec: TaskSpec) -> nn.Module:
        """The network, of which the features learn.

        Raises:
            BenchError: for tasks that the method is not for, and a network without features.
        """
        kinds.check(type(self).__name__, self.kinds, spec.kind, "the data")
        net = super().build(spec)
        learned = {id(p) for p in features_of(net).parameters()}
        for p in net.parameters():
            if id(p) not in learned:
                p.requires_grad_(False)
        return net

    def outputs(self, episode: Episode) -> Tensor:
        """Outputs for the query, ``[tasks, query, outputs]``."""
        support, query = self.embedded(episode)
        return self.within_ways(self.query_from(support, query, episode), episode)

    def loss(self, episode: Episode) -> Tensor:
        """Loss on the query, ``[tasks]``."""
        loss = self.mean_loss(self.outputs(episode), episode.query_y, episode.query_w)
        return loss + self.prior

    @torch.no_grad()
    def predict(self, episode: Episode) -> Tensor:
        """Outputs for the query, ``[tasks, 1, query, outputs]``."""
        return self.outputs(episode)[:, None]
