"""Mixed precision: the products of networks in half precision, everything else in float32.

Under ``Trainer(precision="bf16-mixed")``, or any ``torch.autocast``, convolutions and matrix
products of the tasks' networks are computed in bfloat16 or float16, as are their derivatives of
every order. All else is not, as errors would add up there: what a layer gives is float32 again, and
so are mean and variance of norm layers, losses, the parameters of a task and their updates, and
what an algorithm does beside its network.

Autocast itself does not reach layers under ``torch.func.vmap`` (torch 2.14), and would reach
losses.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

PRODUCTS = {
    F.linear,
    *(F.conv1d, F.conv2d, F.conv3d),
    *(F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d),
    *(torch.matmul, torch.mm, torch.bmm, Tensor.matmul, Tensor.__matmul__, Tensor.mm, Tensor.bmm),
}

_asked_for: ContextVar[torch.dtype | None] = ContextVar("precision of products", default=None)


def asked_for() -> torch.dtype | None:
    """What the products of networks are computed in; None for what their parameters are in."""
    return _asked_for.get()


@contextmanager
def for_networks_alone(device: torch.device) -> Iterator[None]:
    """Within this context, an autocast that is in force holds for the networks of tasks alone."""
    if not torch.is_autocast_enabled(device.type):
        yield
        return
    before = _asked_for.set(torch.get_autocast_dtype(device.type))
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        _asked_for.reset(before)


@contextmanager
def products() -> Iterator[None]:
    """Within this context, products are computed in what was asked for."""
    if asked_for() is None:
        yield
        return
    with _Products(asked_for()):
        yield


class _Products(TorchFunctionMode):
    def __init__(self, dtype: torch.dtype):
        super().__init__()
        self.dtype = dtype

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function not in PRODUCTS:
            return function(*args, **kwargs)
        kwargs = {n: self._low(v) for n, v in kwargs.items()}
        product = function(*map(self._low, args), **kwargs)
        return product.float() if product.dtype == self.dtype else product

    def _low(self, value):
        single = isinstance(value, Tensor) and value.dtype == torch.float32
        return value.to(self.dtype) if single else value
