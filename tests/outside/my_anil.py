"""ANIL: only the head adapts (Raghu et al. 2020, arXiv:1909.09157, section 4)."""

from bench.learning.gradient_based import GradientBased


class MyANIL(GradientBased):
    """The body is shared by all tasks, and learned through the steps of the head."""

    label = "my ANIL"

    def adapting(self):
        """The parameters that adapt, by name."""
        return {n: p for n, p in super().adapting().items() if n.startswith("head.")}
