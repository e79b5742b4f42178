"""Meta-SGD: each number has an inner rate of its own (Li et al. 2017, arXiv:1707.09835, eq. 2)."""

import torch

from bench.learning.gradient_based import GradientBased
from bench.learning.per_parameter import PerParameter


class MyMetaSGD(GradientBased):
    """The rates are learned beside the parameters."""

    label = "my Meta-SGD"

    def configure_parameters(self):
        """Draws the rates, up to ``inner_lr``."""
        super().configure_parameters()
        high = self.hparams["inner_lr"]
        start = {n: torch.empty_like(p) for n, p in self.adapting().items()}
        self.rates = PerParameter({n: v.uniform_(0.05 * high, high) for n, v in start.items()})

    def rate(self, name, step):
        """The learned rates of a parameter, of its shape."""
        return self.rates[name]
