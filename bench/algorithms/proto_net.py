"""Prototypical networks: the nearest class mean among embedded rows."""

from torch import Tensor

from bench.learning import heads
from bench.learning.embedding_learner import EmbeddingLearner
from bench.tasks.episode import Episode


class ProtoNet(EmbeddingLearner):
    """The log-odds of class c fall with the squared distance to the mean of its support rows.

    ``p(y = c | x) ~ exp(-|f(x) - mean_c|^2)``

    Snell, Swersky and Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017
    (arXiv:1703.05175), equations 1 and 2. Nothing adapts by gradient. The authors train with more
    classes than they test with (30 or 20 for 5): ``train_ways`` of image data. Their code embeds
    support and query in one batch, whose batch norm mixes the two; here each is normalised as
    ``batch_norm`` says.

    Args:
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    label = "ProtoNet"
    kinds = ("classification", "classification_errors")
    recordable = True
    any_ways = True

    def query_from(self, support: Tensor, query: Tensor, episode: Episode) -> Tensor:
        """Minus the squared distances, less what all classes have in common."""
        head = heads.prototypes(support, episode.support_y, episode.support_w, self.spec.outputs)
        return query @ head["head.weight"].transpose(1, 2) + head["head.bias"][:, None]
