"""First-order bilevel item response theory under a name of its own."""

from typing import Literal

from bench.algorithms.bilevel_irt import BilevelIRT


class FirstOrderBilevelIRT(BilevelIRT):
    """:class:`bench.algorithms.bilevel_irt.BilevelIRT` with ``order=1``.

    Args:
        order: 1.
        inner_lr: inner learning rate of one answer; the best one is larger than for order 2, as
            items do not learn to move the ability further.
        **kwargs: see :class:`bench.algorithms.bilevel_irt.BilevelIRT`.
    """

    label = "bilevel IRT"
    recordable = True

    def __init__(self, order: Literal[1] = 1, inner_lr: float = 0.2, **kwargs):
        super().__init__(order=order, inner_lr=inner_lr, **kwargs)
