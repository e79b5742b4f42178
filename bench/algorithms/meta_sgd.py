"""Meta-SGD: every number of the network learns its own inner learning rate."""

import torch
from torch import Tensor

from bench.learning.gradient_based import GradientBased
from bench.learning.per_parameter import PerParameter

LOWEST = 1 / 20  # of the rates at first, as a share of the highest


class MetaSGD(GradientBased):
    """MAML whose inner learning rate is a learned vector, one number for each that adapts.

    ``theta' = theta - alpha * grad L_support(theta)``, element by element, with ``theta`` and
    ``alpha`` learned by the outer loop: Li, Zhou, Chen and Li, "Meta-SGD: Learning to Learn Quickly
    for Few-Shot Learning" (arXiv:1707.09835), equation 2 and algorithm 1. A rate may become
    negative. With ``order=1`` the inner gradients are constants, and ``alpha`` learns all the same.

    The paper takes one inner step; further steps use the same ``alpha``. Its network for Omniglot
    has a further layer of 32 units before the last, which is not here.

    All other arguments are those of :class:`bench.learning.gradient_based.GradientBased`.

    Args:
        inner_lr: the highest rate at first; each is drawn evenly between a twentieth of it and
            itself, by default from 0.005 to 0.1 as others who implement the paper do.
        inner_steps: gradient steps on the support set while training.
        **kwargs: see :class:`bench.learning.gradient_based.GradientBased`.
    """

    label = "Meta-SGD"
    recordable = True

    def __init__(self, inner_lr: float = 0.1, inner_steps: int = 1, **kwargs):
        super().__init__(inner_lr=inner_lr, inner_steps=inner_steps, **kwargs)

    def configure_parameters(self) -> None:
        """Draws the rates."""
        super().configure_parameters()
        highest = self.hparams["inner_lr"]
        self.rates = PerParameter(
            {
                n: torch.empty(p.shape, dtype=p.dtype).uniform_(highest * LOWEST, highest)
                for n, p in self.adapting().items()
            }
        )

    def rate(self, name: str, step: int) -> Tensor:
        """The learned rates of a parameter, of its shape."""
        return self.rates[name]
