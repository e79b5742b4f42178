"""How a network is evaluated for many tasks at once, each with parameters of its own."""

import warnings
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from bench.base.errors import BenchError, out_of_memory
from bench.learning.inner_loop import Fast
from bench.learning.task_layers import TaskLayers
from bench.learning.torch_private import buffers, version

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
        self._layers = list(net.modules())
        self._probed = False
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
        with self._unchanged_buffers():
            if not self._probed:
                self._probe(x[0].detach())
            if not self.vectorised:
                return self._loop(fast, x)
            try:
                with TaskLayers():
                    return vmap(self._one, randomness="error")(fast, x)
            except Exception as error:
                if isinstance(error, BenchError) or out_of_memory(error):
                    raise
                reason = str(error).strip().split("\n")[0]
            if "randomness error mode" in reason:
                raise self._random()
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
            sizes = [x[0, 0].nbytes]

            def note(layer, inputs, output):
                if isinstance(output, Tensor):
                    sizes.append(output.nbytes // x.shape[1])

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
        return functional_call(self.net, parameters, (x,))

    def _loop(self, fast: Fast, x: Tensor) -> Tensor:
        tasks = range(len(x))
        before = _random_state(x.device)
        outputs = [self._one({n: v[t] for n, v in fast.items()}, x[t]) for t in tasks]
        if not torch.equal(before, _random_state(x.device)):
            raise self._random()
        return torch.stack(outputs)

    def _probe(self, x: Tensor) -> None:
        """Evaluates one task with constant parameters, which must leave no way to the real ones."""
        constant = {n: p.detach() for n, p in self.net.named_parameters()}
        with torch.enable_grad():
            outputs = self._one(constant, x)
        name = type(self.net).__name__
        if not isinstance(outputs, Tensor) or outputs.dim() != 2 or len(outputs) != len(x):
            shape = tuple(getattr(outputs, "shape", ())) or type(outputs).__name__
            raise BenchError(
                f"{name} maps inputs {tuple(x.shape)} to {shape}; it must return a tensor "
                "[rows, outputs]"
            )
        if outputs.requires_grad:
            raise BenchError(
                f"{name} reads some of its parameters from elsewhere than the attributes they are "
                "registered as (a list, a closure), where adapted ones cannot be put; use "
                "nn.ParameterList or self.<name>"
            )
        self._probed = True

    @contextmanager
    def _unchanged_buffers(self):
        before = [(b, version(b)) for b in buffers(self._layers)]
        yield
        after = buffers(self._layers)
        if len(before) != len(after) or any(
            a is not b or version(a) != then for a, (b, then) in zip(after, before)
        ):
            raise BenchError(
                f"{type(self.net).__name__} changes its buffers in its forward pass, so that one "
                "task's data would leak into the next; use layers without running statistics"
            )

    def _random(self) -> BenchError:
        return BenchError(
            f"{type(self.net).__name__} draws random numbers in its forward pass; an adapted "
            "network must be a fixed function of its parameters: remove the dropout"
        )


def _random_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def check_adaptable(net: nn.Module) -> None:
    """Refuses a network that cannot be adapted exactly.

    Raises:
        BenchError: names the first layer with running statistics or active dropout, and what to
            use instead; or says that nothing can be learned.
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
        # nn.Dropout and its kin have p; attention and recurrent layers have a number, dropout
        rate = getattr(layer, "p" if isinstance(layer, DROPOUTS) else "dropout", 0)
        if isinstance(rate, int | float) and rate > 0:
            raise BenchError(
                f"{kind} is active dropout: its inner gradients would be random; set it to 0 or "
                "remove it"
            )
    if not any(p.requires_grad for p in net.parameters()):
        raise BenchError(f"{type(net).__name__} has no parameter that requires a gradient")
