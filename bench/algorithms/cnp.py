"""Conditional neural processes: a task's support set becomes one vector that the decoder reads."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.base import arguments
from bench.learning import heads
from bench.learning.embedding_learner import EmbeddingLearner
from bench.learning.networks import width_of
from bench.tasks.episode import Episode, TaskSpec
from bench.tasks.objectives import weighted_mean


class CNP(EmbeddingLearner):
    """``r = mean_i h(x_i, y_i)`` over the support, and ``g(x, r)`` predicts the query.

    Garnelo et al., "Conditional Neural Processes", ICML 2018 (arXiv:1807.01613), equations 1 to 3.
    Adaptation is learned whole: no gradient is taken and no distance is built in. Of classes, as
    in their section 4.3, h reads the rows of each class apart, and r is the means of all classes
    side by side.

    Inputs reach h and g through the ``features`` of the network. The query alone is predicted, and
    of a regression its mean alone, by the squared error that all algorithms here have in common;
    the authors predict the support too, and a variance.

    Args:
        representation: width of r, for each class.
        hidden: widths of the hidden layers of h and of g.
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    label = "CNP"
    recordable = True
    search = {"representation": ("choice", 32, 64, 128)}

    def __init__(self, representation: int = 64, hidden: Sequence[int] = (128, 128), **kwargs):
        super().__init__(**kwargs)
        arguments.require_at_least(1, representation=representation, hidden=hidden)

    def build(self, spec: TaskSpec) -> nn.Module:
        """The network, and beside it encoder and decoder."""
        net = super().build(spec)
        width = width_of(net.features, spec)
        represented, hidden = self.hparams["representation"], self.hparams["hidden"]
        targets, groups = (0, spec.outputs) if spec.classifies else (spec.outputs, 1)
        self.encoder = _perceptron(width + targets, *hidden, represented)
        self.decoder = _perceptron(width + groups * represented, *hidden, spec.outputs)
        return net

    def query_from(self, support: Tensor, query: Tensor, episode: Episode) -> Tensor:
        """What the decoder makes of each query row and the whole support set."""
        y, w = episode.support_y, episode.support_w
        if self.spec.classifies:
            means = heads.class_means(self.encoder(support), y, w, self.spec.outputs)
        else:
            targets = y.reshape(*y.shape[:2], -1).to(support.dtype)
            encoded = self.encoder(torch.cat([support, targets], -1))
            means = weighted_mean(encoded.transpose(1, 2), None if w is None else w[:, None])
        of_all = means.flatten(1)[:, None].expand(*query.shape[:2], -1)
        return self.decoder(torch.cat([query, of_all], -1))


def _perceptron(*widths: int) -> nn.Sequential:
    """Linear layers of these widths, with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
