"""No inner loop: a network trained by MAML is tested without its head and without adapting."""

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.algorithms.maml import MAML
from bench.learning import heads
from bench.tasks.episode import Episode

SCALE = 10.0  # of cosines; it moves the likelihood of what is predicted, not the prediction


class NIL(MAML):
    """Trains as MAML does; at test the class of the support rows with the nearest directions wins.

    ``p(y = c | x) ~ exp(10 mean cos(f(x), f(x_i)))``, the mean over the support rows i of class c.

    Raghu, Raghu, Bengio and Vinyals, "Rapid Learning or Feature Reuse? Towards Understanding the
    Effectiveness of MAML", ICLR 2020 (arXiv:1909.09157), section 5: what is left of MAML when
    features alone are used. ``NIL.load_from_checkpoint`` takes any checkpoint of MAML's.

    Args:
        **kwargs: see :class:`bench.learning.gradient_based.GradientBased`; ``test_steps`` has no
            effect.
    """

    label = "NIL"
    kinds = ("classification", "classification_errors")
    recordable = True
    any_ways = True

    @torch.no_grad()
    def predict(self, episode: Episode) -> Tensor:
        """Outputs for the query, ``[tasks, 1, query, outputs]``."""
        support, query = (F.normalize(rows, dim=-1) for rows in self.embedded(episode))
        y, w = episode.support_y, episode.support_w
        means = heads.class_means(support, y, w, self.spec.outputs)
        return self.within_ways(SCALE * query @ means.transpose(1, 2), episode)[:, None]
