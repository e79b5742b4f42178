"""Second derivatives: kernels that have them are chosen, and where torch has none it is said."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from bench.base.errors import BenchError

MISSING = (  # what torch says, in so many words; the first group is the operation
    r"derivative for '?(?:aten::)?(\w+?)'? is not implemented",
    r"derivative of '(\w+)' is not implemented",
    r"(torch\.compile) with aot_autograd does not currently support double backward",
    r"()marked with @once_differentiable",
    r"()functions with out=\.\.\. arguments don't support automatic differentiation",
)
INSTEAD = {  # part of an operation's name to what does the same
    "embedding_bag": "nn.Embedding and .mean(1), .sum(1) or .amax(1) of what it gives",
    "hardsigmoid": "nn.Sigmoid",
    "torch.compile": "the network without it",
}


@contextmanager
def chosen(net: nn.Module) -> Iterator[None]:
    """Within this context a network is evaluated by kernels that can be differentiated twice.

    Torch has faster ones for attention, and cuDNN's for recurrent layers, whose gradient cannot be
    differentiated.
    """
    recurrent = (m for m in net.modules() if isinstance(m, nn.RNNBase))
    by_cudnn = any(p.is_cuda for m in recurrent for p in m.parameters())
    with ExitStack() as stack:
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if by_cudnn:
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        yield


@contextmanager
def missing_are_named() -> Iterator[None]:
    """Within this context, what has no second derivative in torch is refused by name.

    Raises:
        BenchError: names the operation, and says what to use instead.
    """
    try:
        yield
    except RuntimeError as error:
        found = next(filter(None, (re.search(words, str(error)) for words in MISSING)), None)
        if found is None:
            raise
        operation = found[1] or "one of its functions"
        instead = next((v for k, v in INSTEAD.items() if k in operation), "other layers")
        raise BenchError(
            f"the gradient of the network cannot be differentiated again, as order=2 needs: torch "
            f"has no second derivative of {operation}; use order=1, or {instead}"
        ) from error
