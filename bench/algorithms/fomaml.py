"""First-order MAML under a name of its own."""

from typing import Literal

from bench.algorithms.maml import MAML


class FOMAML(MAML):
    """First-order MAML: :class:`bench.algorithms.maml.MAML` with ``order=1``.

    Args:
        order: 1.
        **kwargs: see :class:`bench.learning.gradient_based.GradientBased`.
    """

    label = "MAML"
    recordable = True

    def __init__(self, order: Literal[1] = 1, **kwargs):
        super().__init__(order=order, **kwargs)
