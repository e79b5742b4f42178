"""ProtoNet: the nearest class mean of embedded rows (Snell et al. 2017, arXiv:1703.05175)."""

from torch.nn import functional as F

from bench.learning.embedding_learner import EmbeddingLearner


class MyProtoNet(EmbeddingLearner):
    """Equations 1 and 2, where every class has as many rows as the next."""

    label = "my ProtoNet"
    kinds = ("classification",)

    def query_from(self, support, query, episode):
        """Minus the squared distances to the means, ``[tasks, query, ways]``."""
        members = F.one_hot(episode.support_y, self.spec.outputs).to(support.dtype)
        means = members.transpose(1, 2) @ support / members.sum(1)[..., None]
        return -(query[:, :, None] - means[:, None]).square().sum(-1)
