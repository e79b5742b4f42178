"""First-order bilevel item response theory under a name of its own."""

from typing import Literal

from bench.algorithms.bilevel_irt import BilevelIRT


class FirstOrderBilevelIRT(BilevelIRT):
    """:class:`bench.algorithms.bilevel_irt.BilevelIRT` with ``order=1``.

    Args:
        order: 1.
        **kwargs: see :class:`bench.algorithms.bilevel_irt.BilevelIRT`.
    """

    label = "bilevel IRT"
    recordable = True

    def __init__(self, order: Literal[1] = 1, **kwargs):
        super().__init__(order=order, **kwargs)
