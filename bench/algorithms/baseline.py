"""No meta-learning: a classifier of all training classes, whose features serve new ones."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.base import arguments
from bench.base.errors import BenchError
from bench.learning import heads
from bench.learning.embedding_learner import EmbeddingLearner
from bench.learning.networks import width_of
from bench.tasks.data_module import EpisodeDataModule
from bench.tasks.episode import Episode, TaskSpec
from bench.tasks.objectives import weighted_mean


class Baseline(EmbeddingLearner):
    """Trains one classifier of all training classes; a new task gets a logistic regression.

    Chen et al., "A Closer Look at Few-shot Classification", ICLR 2019 (arXiv:1904.04232), section
    3.2. Training sees the images of the episodes that other methods see, support and query alike,
    each under its class among all classes. A new task's head is fitted on frozen features of its
    support set.

    The authors draw images from all classes at random, and fit the head by 100 epochs of SGD from
    random weights. Here, batch norm takes its statistics from the images of an episode, and the
    head is fitted to convergence on features of length 1, as Tian et al. 2020 do
    (arXiv:2003.11539), without an intercept and with the penalty ``|W|^2 / 2`` on the summed loss.

    Args:
        training_classes: how many classes training has; None: as the data module says.
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    label = "classifier, then logistic regression"
    kinds = ("classification", "classification_errors")
    recordable = True
    any_ways = True

    def __init__(self, training_classes: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if training_classes is not None:
            arguments.require_at_least(1, training_classes=training_classes)

    def note_tasks(self, data: EpisodeDataModule) -> None:
        """Notes how many classes there are in training, beside what the tasks look like."""
        super().note_tasks(data)
        if self.hparams["training_classes"] is None:
            self.hparams["training_classes"] = data.class_count("train") or None

    def build(self, spec: TaskSpec) -> nn.Module:
        """The network, and beside it the classifier of training classes.

        Raises:
            BenchError: if it is not known how many there are.
        """
        net = super().build(spec)
        if self.hparams["training_classes"] is None:
            raise BenchError(
                f"{type(self).__name__} does not know how many classes training has: fit it with "
                "images of the suite and without spec=, or pass training_classes="
            )
        width = width_of(net.features, spec)
        self.classifier = self.make_classifier(width, self.hparams["training_classes"])
        return net

    def make_classifier(self, width: int, classes: int) -> nn.Module:
        """The last layer in training."""
        return nn.Linear(width, classes)

    def class_logits(self, rows: Tensor) -> Tensor:
        """Logits of all training classes ``[tasks, rows, classes]``, from embedded rows."""
        return self.classifier(rows)

    def loss(self, episode: Episode) -> Tensor:
        """Cross-entropy of all images of an episode, each among all training classes, ``[tasks]``.

        Raises:
            BenchError: if the episode does not say which classes it is of.
        """
        if episode.class_numbers is None:
            raise BenchError(
                f"Episode.class_numbers is None: {type(self).__name__} learns from episodes that "
                "say which training class each of their class numbers stands for"
            )
        targets = torch.cat([episode.support_y, episode.query_y], 1)
        classes = episode.class_numbers.gather(1, targets)
        logits = self.class_logits(torch.cat(self.embedded(episode), 1))
        each = F.cross_entropy(logits.movedim(-1, 1), classes, reduction="none")
        return weighted_mean(each, _weights(episode, each)) + self.prior

    def query_from(self, support: Tensor, query: Tensor, episode: Episode) -> Tensor:
        """Logits of the logistic regression of the support set."""
        support, query = F.normalize(support, dim=-1), F.normalize(query, dim=-1)
        y, w = episode.support_y, episode.support_w
        weights = heads.logistic(support, y, w, self.spec.outputs)
        return (query.double() @ weights).to(query.dtype)


def _weights(episode: Episode, like: Tensor) -> Tensor:
    """Those of all rows, ``[tasks, rows]``; 1 where none are given."""
    parts = ((episode.support_y, episode.support_w), (episode.query_y, episode.query_w))
    return torch.cat([like.new_ones(y.shape) if w is None else w for y, w in parts], 1)
