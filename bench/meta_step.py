"""The loss of a meta-batch with its gradient: all tasks at once, in parts, or compiled."""

import warnings
from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd

from bench.episode import Episode
from bench.errors import BenchError

PART_BYTES = 32 * 2**20  # of the widest layer: what a processor's last cache holds
# Compiling takes about a minute. It pays where calling many small kernels is most of the work, and
# where enough meta-batches follow.
SMALL_BYTES, MANY_ITERATIONS = 2 * 2**20, 20_000


class MetaStep:
    """Mean meta-objective over a meta-batch, whose backward pass hands out the meta-gradient.

    A part of the tasks at a time: on a CPU as many as the cache holds, so that a layer finds what
    the one before has left there, and so that memory does not grow with the meta-batch. Every task
    has its own loss, so the parts add up exactly.

    Compiled: the whole step, inner loops and meta-gradient, is recorded once as a list of tensor
    operations and compiled as that. Only values are recorded, so what a forward pass decides from
    them is fixed at the first meta-batch of each shape.

    Args:
        learner: whose ``loss`` and parameters.
        engine: ``"loop"``, ``"batched"``, ``"compiled"`` or ``"auto"``.
    """

    def __init__(self, learner: nn.Module, engine: str):
        self.learner, self.engine = learner, engine
        self.iterations = 0  # how many are to come, where that is known
        self._compiled: dict[tuple, Callable] = {}

    def __call__(self, episode: Episode) -> Tensor:
        """The mean loss, a scalar to call ``backward`` on once.

        Raises:
            BenchError: if the step is to be compiled and cannot be.
        """
        parameters = {n: p for n, p in self.learner.named_parameters() if p.requires_grad}
        if self.compiles(episode):
            try:
                loss, *gradients = self._compiled_for(parameters, episode)(parameters, episode)
            except BenchError as error:
                if self.engine == "compiled":
                    raise
                self.engine = "batched"
                warnings.warn(f"going on without compiling: {error}", stacklevel=2)
            else:
                return _Known.apply(loss, gradients, *parameters.values())
        tasks = len(episode.query_y)
        at_once = self.tasks_at_once(episode)
        if at_once >= tasks:
            return self.learner.loss(episode).mean()
        total, gradients = 0.0, None
        for part in parts(episode, at_once):
            loss, *own = _with_gradient(self.learner.loss(part).sum() / tasks, parameters)
            total = total + loss
            gradients = own if gradients is None else [_sum(a, b) for a, b in zip(gradients, own)]
        return _Known.apply(total, gradients, *parameters.values())

    def compiles(self, episode: Episode) -> bool:
        """Whether meta-batches of this shape are compiled."""
        if self.engine != "auto" or self.iterations < MANY_ITERATIONS:
            return self.engine == "compiled"
        small = len(episode.query_y) * self._widest(episode) <= SMALL_BYTES
        convolves = any(isinstance(layer, _ConvNd) for layer in self.learner.net.modules())
        return small and not convolves and episode.query_x.device.type == "cpu"

    def _widest(self, episode: Episode) -> int:
        """Bytes that the widest layer puts out for one task."""
        rows = max(episode.support_y.shape[1], episode.query_y.shape[1])
        return rows * self.learner.forward_tasks.widest_row(episode.query_x)

    def tasks_at_once(self, episode: Episode) -> int:
        """How many tasks are worked on together."""
        tasks, forward = len(episode.query_y), self.learner.forward_tasks
        if not forward.vectorised:
            return 1
        if episode.query_x.device.type != "cpu":
            return tasks
        return max(min(PART_BYTES // self._widest(episode), tasks), 1)

    def _compiled_for(self, parameters: dict[str, Tensor], episode: Episode) -> Callable:
        shapes = tuple(None if v is None else (v.shape, v.dtype, v.device) for v in episode)
        if shapes not in self._compiled:
            self._compiled[shapes] = compiled(self.learner, parameters, episode)
        return self._compiled[shapes]


def parts(episode: Episode, tasks: int) -> list[Episode]:
    """Divides a batch of episodes into batches of ``tasks`` or fewer, as even as can be."""
    total = len(episode.query_y)
    count = -(-total // tasks)
    pieces = [[None] * count if v is None else v.tensor_split(count) for v in episode]
    return [Episode(*piece) for piece in zip(*pieces)]


def compiled(learner: nn.Module, parameters: dict[str, Tensor], episode: Episode) -> Callable:
    """The whole meta-step for episodes of this shape as one compiled function.

    Args:
        learner: its ``forward`` is the meta-objective of each task.
        parameters: what the gradient is with respect to.
        episode: an example.

    Returns:
        A function from parameters and episode to the mean loss and the gradients.

    Raises:
        BenchError: without a compiler, or where the step cannot be recorded.
    """
    from torch.fx.experimental.proxy_tensor import make_fx

    given = [i for i, v in enumerate(episode) if v is not None]

    def step(values: list[Tensor], batch: list[Tensor]) -> list[Tensor]:
        named = dict(zip(parameters, values))
        fields: list[Tensor | None] = [None] * len(episode)
        for i, v in zip(given, batch):
            fields[i] = v
        loss = functional_call(learner, named, (Episode(*fields),)).mean()
        return [v if v is None else v.detach() for v in _with_gradient(loss, named)]

    def arguments(parameters, episode):
        return [p.detach() for p in parameters.values()], [episode[i] for i in given]

    values, batch = arguments(parameters, episode)
    device = values[0].device.type
    require_compiler(device)
    with _quiet():
        try:
            graph = make_fx(step)([v.clone().requires_grad_() for v in values], batch)
        except (BenchError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            reason = str(error).strip().split("\n")[0]
            raise BenchError(
                f"engine='compiled': this step cannot be recorded ({reason}); use engine='batched'"
            ) from error
        graph.graph.eliminate_dead_code()
        graph.recompile()
        # On a GPU the kernels are replayed as one CUDA graph, so that launching them costs nothing.
        mode = "reduce-overhead" if device == "cuda" else None
        function = torch.compile(graph, dynamic=False, mode=mode)

    def run(parameters, episode):
        with torch.no_grad(), _quiet():
            return function(*arguments(parameters, episode))

    return run


def require_compiler(device: str) -> None:
    """Refuses to compile where nothing can.

    Raises:
        BenchError: says what to install.
    """
    if device != "cpu":
        return
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except Exception as error:  # torch has its own class for it, at a place that moves
        raise BenchError(
            "engine='compiled' needs a C++ compiler such as g++ or clang, and none was found; "
            "install one, or use engine='batched'"
        ) from error


def _with_gradient(loss: Tensor, parameters: dict[str, Tensor]) -> list[Tensor | None]:
    gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return [loss.detach(), *gradients]


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


class _Known(Function):
    """A loss whose gradient is known already."""

    @staticmethod
    def forward(ctx, loss, gradients, *parameters):
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(ctx, g):
        gradients, ctx.gradients = ctx.gradients, None
        return None, None, *(v if v is None else v * g for v in gradients)


@contextmanager
def _quiet():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="torch")
        yield
