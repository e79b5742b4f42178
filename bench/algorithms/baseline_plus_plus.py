"""No meta-learning: a classifier by cosines, whose features serve new classes by cosines too."""

from collections import deque

from torch import Tensor, nn
from torch.nn import functional as F

from bench.algorithms.baseline import Baseline
from bench.base import arguments
from bench.base.errors import BenchError
from bench.learning import heads
from bench.learning.inner_loop import Fast, inner_loop
from bench.tasks.episode import Episode

MANY, SCALES = 200, (2.0, 10.0)  # what cosines are multiplied by, of up to so many classes and more


class BaselinePlusPlus(Baseline):
    """Trains one classifier of all training classes; both it and a new task's head take cosines.

    ``p(y = c | x) ~ exp(s cos(f(x), w_c))``, which draws the features of a class together: Chen et
    al. 2019 (arXiv:1904.04232), section 3.3. As in their code, s is 2 for up to 200 classes and 10
    for more. Their code fits the head of a new task by 100 epochs of SGD in batches of 4 from
    random weights, with weight decay; here it is gradient descent on the whole support set, from
    the mean direction of each class.

    Args:
        head_steps: gradient steps on a new task's head.
        head_lr: their learning rate, in terms of the mean loss over the support set.
        **kwargs: see :class:`bench.algorithms.baseline.Baseline`.
    """

    label = "classifier by cosines, then head by cosines"
    recordable = True
    search = {"head_lr": ("log", 1e-2, 1.0)}

    def __init__(self, head_steps: int = 100, head_lr: float = 0.1, **kwargs):
        super().__init__(**kwargs)
        arguments.require_at_least(0, head_steps=head_steps)
        if not head_lr >= 0:
            raise BenchError(f"head_lr={head_lr!r}: give a number of at least 0")

    def make_classifier(self, width: int, classes: int) -> nn.Module:
        """The last layer in training, whose rows are the directions of classes."""
        return nn.Linear(width, classes, bias=False)

    def class_logits(self, rows: Tensor) -> Tensor:
        """Logits of all training classes ``[tasks, rows, classes]``, from embedded rows."""
        return _scale(self.hparams["training_classes"]) * _cosines(rows, self.classifier.weight)

    def query_from(self, support: Tensor, query: Tensor, episode: Episode) -> Tensor:
        """Logits of the head that was fitted to the support set."""
        y, w, ways = episode.support_y, episode.support_w, self.spec.outputs
        scale, rate = _scale(ways), self.hparams["head_lr"]

        def loss(fast: Fast, step: int) -> Tensor:
            logits = scale * _cosines(support, fast["weight"])
            return self.mean_loss(self.within_ways(logits, episode), y, w)

        start = heads.class_means(F.normalize(support, dim=-1), y, w, ways)
        steps = inner_loop(
            loss,
            {"weight": start},
            self.hparams["head_steps"],
            lambda fast, gradients, step: {"weight": fast["weight"] - rate * gradients["weight"]},
            order=0,
        )
        return scale * _cosines(query, deque(steps, maxlen=1).pop()["weight"])


def _scale(classes: int) -> float:
    return SCALES[classes > MANY]


def _cosines(rows: Tensor, weight: Tensor) -> Tensor:
    """``[tasks, rows, classes]`` of embedded rows and the directions ``[..., classes, width]``."""
    return F.normalize(rows, dim=-1) @ F.normalize(weight, dim=-1).transpose(-1, -2)
