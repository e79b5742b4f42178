"""How a network is evaluated for many tasks at once, each with parameters of its own."""

import warnings

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from bench.errors import BenchError
from bench.inner_loop import Fast


class TaskForward:
    """Evaluates one network for a batch of tasks: vectorised, or in a loop where it must be.

    Only the forward pass is vectorised (``torch.func.vmap``); gradients are taken outside it with
    ``torch.autograd.grad``. The other way round, ``vmap`` over a function that calls
    ``torch.func.grad``, gives silently wrong second-order gradients with native batch, layer and
    instance norm.

    A network that cannot be vectorised is run in a plain loop over tasks, and that is said once.
    """

    def __init__(self, net: nn.Module):
        self.net = net
        self.vectorised = True

    def __call__(self, fast: Fast, x: Tensor) -> Tensor:
        """Outputs of every task's own network.

        Args:
            fast: parameters that differ between tasks, name to ``[tasks, ...]``; parameters that
                are not named are shared.
            x: ``[tasks, rows, *input_shape]``.

        Returns:
            ``[tasks, rows, outputs]``.

        Raises:
            BenchError: if the network draws random numbers or changes its own buffers.
        """
        if not self.vectorised:
            return self._loop(fast, x)
        try:
            return vmap(self._one, randomness="error")(fast, x)
        except Exception as error:
            reason = str(error).strip().split("\n")[0]
        if "random" in reason:
            raise BenchError(
                f"{type(self.net).__name__} draws random numbers in its forward pass ({reason}); "
                "an adapted network must be a fixed function of its parameters: remove the dropout"
            )
        before = [b._version for b in self.net.buffers()]
        outputs = self._loop(fast, x)  # the module's own mistakes surface here, unchanged
        if before != [b._version for b in self.net.buffers()]:
            raise BenchError(
                f"{type(self.net).__name__} changes its buffers in its forward pass, so that one "
                "task's data would leak into the next; use layers without running statistics"
            )
        self.vectorised = False
        warnings.warn(
            f"{type(self.net).__name__} cannot be vectorised over tasks ({reason}); "
            "using a loop over tasks, which is exact but slower",
            stacklevel=2,
        )
        return outputs

    def _one(self, parameters: Fast, x: Tensor) -> Tensor:
        return functional_call(self.net, parameters, (x,))

    def _loop(self, fast: Fast, x: Tensor) -> Tensor:
        tasks = range(len(x))
        return torch.stack([self._one({n: v[t] for n, v in fast.items()}, x[t]) for t in tasks])


def check_adaptable(net: nn.Module) -> None:
    """Refuses a network that cannot be adapted exactly.

    Raises:
        BenchError: names the first layer with running statistics or active dropout, and what to
            use instead.
    """
    for name, layer in net.named_modules():
        kind = f"layer {name!r} ({type(layer).__name__})"
        if getattr(layer, "track_running_stats", False):
            raise BenchError(
                f"{kind} keeps running statistics, which mix the tasks of a batch and make the "
                "meta-gradient wrong; build it with track_running_stats=False, or use "
                "nn.GroupNorm or nn.LayerNorm"
            )
        if isinstance(layer, nn.SyncBatchNorm):
            raise BenchError(f"{kind} mixes the tasks of several devices; use nn.BatchNorm2d(...)")
        rate = getattr(layer, "p", None) if isinstance(layer, nn.modules.dropout._DropoutNd) else 0
        if rate or getattr(layer, "dropout", 0) not in (0, 0.0):
            raise BenchError(
                f"{kind} is active dropout: its inner gradients would be random; set p=0 or "
                "remove it"
            )
