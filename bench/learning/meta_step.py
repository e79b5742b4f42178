"""The loss of a meta-batch with its gradient: at once, in parts, recorded or compiled."""

import warnings
from collections.abc import Callable
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd

from bench.base.errors import BenchError, out_of_memory
from bench.tasks.episode import Episode, MetaBatch, alike

Engine = Literal["auto", "loop", "batched", "recorded", "compiled"]

PART_BYTES = 32 * 2**20  # of the widest layer: what a processor's last cache holds
# Recording takes seconds, compiling about a minute, for each shape of meta-batch. Compiling pays
# where calling many small kernels is most of the work; both where enough meta-batches follow.
RECORDED_ITERATIONS, COMPILED_ITERATIONS = 4_000, 20_000
SMALL_BYTES, SHAPES = 2 * 2**20, 4


class MetaStep:
    """Mean meta-objective over a meta-batch, whose backward pass hands out the meta-gradient.

    A part of the tasks at a time: on a CPU as many as the cache holds, so that a layer finds what
    the one before has left there, and so that memory does not grow with the meta-batch. Every task
    has its own loss, so the parts add up exactly.

    Recorded: the whole step, inner loops and meta-gradient, is written down once as a list of
    tensor operations and played back, which spares what autograd and ``vmap`` spend on finding it
    anew. Compiled: that list is compiled. Only values are recorded, so what a forward pass decides
    from them or from elsewhere is fixed at the first meta-batch of each shape.

    Args:
        learner: whose ``loss`` and parameters.
        engine: ``"loop"``, ``"batched"``, ``"recorded"``, ``"compiled"`` or ``"auto"``.
    """

    def __init__(self, learner: nn.Module, engine: str):
        self.learner, self.engine = learner, engine
        self.iterations = 0  # how many are to come, where that is known
        self._recorded: dict[tuple, Callable] = {}

    def __call__(self, batch: MetaBatch) -> Tensor:
        """The mean loss, a scalar to call ``backward`` on once.

        Raises:
            BenchError: if the step is to be recorded or compiled and cannot be.
        """
        engine, groups = self._engine_for(batch), alike(batch)
        records, tasks = engine in ("recorded", "compiled"), sum(len(g.query_y) for g in groups)
        pieces = []
        for group in groups:
            at_once = tasks if engine == "compiled" else self.tasks_at_once(group)
            pieces += parts(group, at_once)
        if len(pieces) == 1 and not records:
            return self.learner.loss(pieces[0]).mean()
        parameters = {n: p for n, p in self.learner.named_parameters() if p.requires_grad}
        total, gradients = 0.0, [None] * len(parameters)
        try:
            for part in pieces:
                step = self._recorded_for(parameters, part, engine) if records else None
                if step is None:
                    loss, *own = _with_gradient(self.learner.loss(part).sum(), parameters)
                else:
                    loss, *own = step(parameters, part)
                total = total + loss
                gradients = [_sum(a, b) for a, b in zip(gradients, own)]
        except BenchError as error:
            if not records or self.engine != "auto":
                raise
            self.engine = "batched"
            warnings.warn(f"going on without recording the step: {error}", stacklevel=2)
            return self(batch)
        return _Known.apply(total, gradients, *parameters.values()) / tasks

    def _engine_for(self, batch: MetaBatch) -> str:
        if isinstance(batch, Episode):
            return self.engine_for(batch)
        if self.engine in ("recorded", "compiled"):
            raise BenchError(
                f"engine={self.engine!r} needs meta-batches of one shape, and these tasks differ "
                "in theirs: use engine='batched'"
            )
        return "batched" if self.engine == "auto" else self.engine

    def engine_for(self, episode: Episode) -> str:
        """What computes meta-batches of this shape: the engine asked for, or what suits them.

        Nothing foreign is recorded unasked: it may do something else at a later iteration.
        """
        if self.engine != "auto":
            return self.engine
        modules = list(self.learner.modules())
        ours = all(type(m).__module__.split(".")[0] in ("bench", "torch") for m in modules)
        wide = self._widest(episode) > PART_BYTES  # kernels so long that what calls them is nothing
        if wide or not ours or self.iterations < RECORDED_ITERATIONS:
            return "batched"
        small = len(episode.query_y) * self._widest(episode) <= SMALL_BYTES
        convolves = any(isinstance(m, _ConvNd) for m in modules)
        many = self.iterations >= COMPILED_ITERATIONS
        on_cpu = episode.query_x.device.type == "cpu"
        return "compiled" if many and small and on_cpu and not convolves else "recorded"

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

    def _recorded_for(self, parameters, episode: Episode, engine: str) -> Callable | None:
        """The recorded step for this shape; None if there are too many shapes already."""
        shapes = tuple(None if v is None else (v.shape, v.dtype, v.device) for v in episode)
        if shapes not in self._recorded:
            if self.engine == "auto" and len(self._recorded) >= SHAPES:
                return None
            made = recorded(self.learner, parameters, episode, engine == "compiled")
            self._recorded[shapes] = made
        return self._recorded[shapes]


def parts(episode: Episode, tasks: int) -> list[Episode]:
    """Divides a batch of episodes into batches of ``tasks`` or fewer, as even as can be."""
    total = len(episode.query_y)
    count = -(-total // tasks)
    pieces = [[None] * count if v is None else v.tensor_split(count) for v in episode]
    return [Episode(*piece) for piece in zip(*pieces)]


def recorded(
    learner: nn.Module, parameters: dict[str, Tensor], episode: Episode, compiles: bool
) -> Callable:
    """The whole meta-step for episodes of this shape as a list of tensor operations.

    Args:
        learner: its ``forward`` is the meta-objective of each task.
        parameters: what the gradient is with respect to.
        episode: an example.
        compiles: whether the list is compiled, or played back as it is.

    Returns:
        A function from parameters and episode to the sum of the losses and its gradients.

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
        loss = functional_call(learner, named, (Episode(*fields),)).sum()
        return [v if v is None else v.detach() for v in _with_gradient(loss, named)]

    def arguments(parameters, episode):
        return [p.detach() for p in parameters.values()], [episode[i] for i in given]

    values, batch = arguments(parameters, episode)
    device = values[0].device.type
    if compiles:
        require_compiler(device)
    with _quiet():
        try:
            graph = make_fx(step)([v.clone().requires_grad_() for v in values], batch)
        except Exception as error:
            if isinstance(error, BenchError) or out_of_memory(error):
                raise
            reason = str(error).strip().split("\n")[0]
            raise BenchError(
                f"this step cannot be recorded ({reason}); use engine='batched'"
            ) from error
        graph.graph.eliminate_dead_code()
        graph.recompile()
    function = graph
    if compiles:
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
