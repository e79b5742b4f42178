"""First-order bilevel item response theory under a name of its own."""

from typing import Literal

from bench.algorithms.bilevel_irt import BilevelIRT
from bench.errors import BenchError


class FirstOrderBilevelIRT(BilevelIRT):
    """:class:`bench.algorithms.bilevel_irt.BilevelIRT` with ``order=1``.

    Args:
        order: 1.
        **kwargs: see :class:`bench.algorithms.bilevel_irt.BilevelIRT`.
    """

    def __init__(self, order: Literal[1] = 1, **kwargs):
        if order != 1:
            raise BenchError(
                f"order={order!r}: first_order_bilevel_irt is first order; use bilevel_irt"
            )
        super().__init__(order=order, **kwargs)
