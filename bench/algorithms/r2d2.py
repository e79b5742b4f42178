"""Ridge regression on embedded rows, solved in closed form and learned through."""

import math

import torch
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.learning import heads
from bench.learning.embedding_learner import EmbeddingLearner
from bench.tasks.episode import Episode, TaskSpec


class R2D2(EmbeddingLearner):
    """Each task's last layer is the ridge regression of one-hot targets on its support rows.

    ``W = X^T (X X^T + lambda I)^-1 Y`` and logits ``alpha X_query W``: the outer loop learns the
    embedding, lambda and alpha by the gradient through the solution.

    Bertinetto, Henriques, Torr and Vedaldi, "Meta-learning with differentiable closed-form
    solvers", ICLR 2019 (arXiv:1805.08136), section 3; the same head as MetaOptNet-RR (Lee et al.
    2019, arXiv:1904.03758). Their beta, a number added to all logits, changes no
    probability and is left out. Their code divides rows and targets by the root of the number of
    rows, so that its lambda stands for ``lambda / rows``, adds a column of ones to the rows, and
    trains with random ways and shots.

    Args:
        ridge: lambda before training; its logarithm is learned, so that it stays positive.
        scale: alpha before training.
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    label = "R2D2 (ridge regression)"
    kinds = ("classification", "classification_errors")
    recordable = True
    search = {"ridge": ("log", 0.1, 100.0), "scale": ("log", 1.0, 30.0)}
    any_ways = True

    def __init__(self, ridge: float = 50.0, scale: float = 10.0, **kwargs):
        super().__init__(**kwargs)
        for name in ("ridge", "scale"):
            if not 0 < self.hparams[name] < math.inf:
                raise BenchError(f"{name}={self.hparams[name]!r}: give a number above 0")

    def build(self, spec: TaskSpec) -> nn.Module:
        """The network, and the two numbers that are learned beside it."""
        self.log_ridge = nn.Parameter(torch.tensor(float(self.hparams["ridge"])).log())
        self.scale = nn.Parameter(torch.tensor(float(self.hparams["scale"])))
        return super().build(spec)

    def query_from(self, support: Tensor, query: Tensor, episode: Episode) -> Tensor:
        """What the ridge regression of the support predicts for the query."""
        y, w, outputs = episode.support_y, episode.support_w, self.spec.outputs
        weights = heads.ridge(support, y, w, outputs, self.log_ridge.exp())
        return self.scale * (query.double() @ weights).to(query.dtype)
