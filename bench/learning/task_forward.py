"""How a network is evaluated for many tasks at once, each with parameters of its own."""

import warnings

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.parameter import is_lazy

from bench.base.errors import BenchError, out_of_memory
from bench.learning.fixed_function import draws_random_numbers, probe, unchanged
from bench.learning.inner_loop import Fast
from bench.learning.mixed_precision import products
from bench.learning.parameters import call_with
from bench.learning.task_layers import TaskLayers
from bench.learning.torch_private import no_advice

DROPOUTS = (  # and their like, which have .p
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)


class TaskForward:
    """Evaluates one network for a batch of tasks: vectorised, or in a loop where it must be.

    Only the forward pass is vectorised (``torch.func.vmap``); gradients are taken outside it with
    ``torch.autograd.grad``. The other way round, ``vmap`` over a function that calls
    ``torch.func.grad``, gives silently wrong second-order gradients with native batch, layer and
    instance norm.

    A network that cannot be vectorised is run in a plain loop over tasks, and that is said once.

    Args:
        net: the network.
        vectorised: False for the plain loop in any case.
    """

    def __init__(self, net: nn.Module, vectorised: bool = True):
        self.net = net
        self.vectorised = vectorised
        self._probed: set[bool] = set()  # while training, and while not: layers differ
        self._widest_row: int | None = None

    def __call__(self, fast: Fast, x: Tensor) -> Tensor:
        """Outputs of every task's own network.

        Args:
            fast: parameters that differ between tasks, name to ``[tasks, ...]``; parameters that
                are not named are shared.
            x: ``[tasks, rows, *input_shape]``.

        Returns:
            ``[tasks, rows, outputs]``.

        Raises:
            BenchError: if the network is not a fixed function of its parameters and inputs.
        """
        self._probe(x[0])
        with unchanged(self.net, fast.values()):
            if not self.vectorised:
                return self._loop(fast, x)
            try:
                with TaskLayers(), products(), no_advice():
                    return vmap(self._one, randomness="error")(fast, x)
            except Exception as error:
                if isinstance(error, BenchError) or out_of_memory(error):
                    raise
                reason = str(error).strip().split("\n")[0]
            if "randomness error mode" in reason:
                raise draws_random_numbers(self.net)
            outputs = self._loop(fast, x)  # the module's own mistakes surface here, unchanged
        self.vectorised = False
        warnings.warn(
            f"{type(self.net).__name__} cannot be vectorised over tasks ({reason}); "
            "using a loop over tasks, which is exact but slower",
            stacklevel=2,
        )
        return outputs

    def widest_row(self, x: Tensor) -> int:
        """Bytes of the widest layer's output for one example.

        Args:
            x: ``[tasks, rows, *input_shape]``.
        """
        if self._widest_row is None:
            self._probe(x[0])
            sizes, rows = [x[0, 0].nbytes], x.shape[1]

            def note(layer, inputs, output):
                if isinstance(output, Tensor):
                    sizes.append(output.numel() * output.element_size() // rows)

            hooks = [layer.register_forward_hook(note) for layer in self.net.modules()]
            try:
                with torch.no_grad():
                    self.net(x[0])
            finally:
                for hook in hooks:
                    hook.remove()
            self._widest_row = max(sizes)
        return self._widest_row

    def _one(self, parameters: Fast, x: Tensor) -> Tensor:
        return call_with(self.net, parameters, x)

    def _loop(self, fast: Fast, x: Tensor) -> Tensor:
        tasks = range(len(x))
        before = _random_state(x.device)
        with products():
            outputs = [self._one({n: v[t] for n, v in fast.items()}, x[t]) for t in tasks]
        if not torch.equal(before, _random_state(x.device)):
            raise draws_random_numbers(self.net)
        return torch.stack(outputs)

    def _probe(self, x: Tensor) -> None:
        if self.net.training not in self._probed:
            probe(self.net, x.detach())
            self._probed.add(self.net.training)


def _random_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def check_adaptable(net: nn.Module) -> None:
    """Refuses a network that cannot be adapted exactly.

    Raises:
        BenchError: names the first layer with running statistics, active dropout, sparse gradients
            or no weights yet, and what to use instead; or says that nothing can be learned.
    """
    for name, layer in net.named_modules():
        kind = f"layer {name!r} ({type(layer).__name__})"
        if type(layer).__module__.startswith("torch.jit"):
            raise BenchError(f"{kind} is TorchScript: give the module that it was made of")
        if isinstance(layer, nn.DataParallel):
            raise BenchError(f"{kind} copies its layers to devices: give its .module")
        if any(map(is_lazy, layer.parameters(recurse=False))):
            raise BenchError(
                f"{kind} has no weights before it has seen an example: call the network once, such "
                "as net(torch.zeros(2, *input_shape)), before it is given"
            )
        if isinstance(layer, nn.Embedding | nn.EmbeddingBag) and layer.sparse:
            raise BenchError(
                f"{kind} has sparse gradients, which cannot be adapted: build it with sparse=False"
            )
        if getattr(layer, "track_running_stats", False):
            raise BenchError(
                f"{kind} keeps running statistics, which mix the tasks of a batch and make the "
                "meta-gradient wrong; build it with track_running_stats=False, or use "
                "nn.GroupNorm or nn.LayerNorm"
            )
        if isinstance(layer, nn.SyncBatchNorm):
            raise BenchError(f"{kind} mixes the tasks of several devices; use nn.BatchNorm2d(...)")
        # nn.Dropout and its kin have p; attention and recurrent layers have a number, dropout
        rate = getattr(layer, "p" if isinstance(layer, DROPOUTS) else "dropout", 0)
        if isinstance(rate, int | float) and rate > 0:
            raise BenchError(
                f"{kind} is active dropout: its inner gradients would be random; set it to 0 or "
                "remove it"
            )
    if not any(p.requires_grad for p in net.parameters()):
        raise BenchError(f"{type(net).__name__} has no parameter that requires a gradient")
