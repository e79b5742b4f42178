"""Which rows batch norm takes its mean and variance from."""

from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from bench.base.errors import BenchError

BatchNorm = Literal["transductive", "support"]
BATCH_NORMS = (  # a lazy layer becomes one of the others
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.LazyBatchNorm1d,
    nn.LazyBatchNorm2d,
    nn.LazyBatchNorm3d,
    nn.SyncBatchNorm,
)


class SupportBatchNorm(nn.Module):
    """Batch norm that normalises every row by the mean and variance of the first rows alone.

    Written out in elementary operations because the native layer treats given statistics as
    constants, which would lose their gradient. Made of torch's by :func:`convert`.
    """

    recordable = True
    rows: tuple[int, int] | None = None  # how many, from the front, of how many; None: all

    def forward(self, x: Tensor) -> Tensor:
        """Normalises ``[rows, channels, ...]``."""
        given = x
        if self.rows is not None:
            rows, total = self.rows
            if len(x) != total:
                raise BenchError(
                    "batch_norm='support' needs layers that see one row per example, not "
                    f"{len(x)} rows for {total} examples; use batch_norm='transductive'"
                )
            given = x[:rows]
        axes = [0, *range(2, x.dim())]
        variance, mean = torch.var_mean(given, axes, correction=0, keepdim=True)
        x = (x - mean) * torch.rsqrt(variance + self.eps)
        if self.weight is None:
            return x
        shape = [1, -1, *[1] * (x.dim() - 2)]
        x = x * self.weight.view(shape)
        return x if self.bias is None else x + self.bias.view(shape)


def is_batch_norm(layer: nn.Module) -> bool:
    """Whether a layer is batch norm of any kind."""
    return isinstance(layer, (*BATCH_NORMS, SupportBatchNorm))


def check_padding(net: nn.Module, w: Tensor | None) -> None:
    """Refuses rows with weights where batch norm would count all of them alike.

    Raises:
        BenchError: says what to use instead.
    """
    if w is not None and any(map(is_batch_norm, net.modules())):
        raise BenchError(
            "rows with weights (padding) would change the mean and variance that batch norm takes; "
            "use nn.GroupNorm or nn.LayerNorm, or tasks of one size without weights"
        )


def convert(net: nn.Module) -> None:
    """Makes every batch-norm layer of a network a :class:`SupportBatchNorm`.

    Itself, so that it is one wherever the network keeps it: under several names, or in a list.
    """
    for layer in net.modules():
        if isinstance(layer, BATCH_NORMS):
            layer.__class__ = SupportBatchNorm


@contextmanager
def statistics_from(net: nn.Module, rows: int, total: int):
    """Within this context, batch norm takes its statistics from the first rows of ``total``."""
    layers = [m for m in net.modules() if isinstance(m, SupportBatchNorm)]
    for layer in layers:
        layer.rows = rows, total
    try:
        yield
    finally:
        for layer in layers:
            layer.rows = None
