"""The loss of a meta-batch with its gradient: at once, in parts, recorded or compiled."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.autograd import Function

from bench.base.errors import BenchError
from bench.learning import mixed_precision, torch_private
from bench.learning.part_workers import Gradient, PartWorkers
from bench.learning.recording import is_recordable, record
from bench.tasks.episode import Episode, MetaBatch, split_by_shape

Engine = Literal["auto", "loop", "batched", "recorded", "compiled"]

PART_BYTES = 32 * 2**20  # of the widest layer: what a processor's last cache holds
# For each shape of meta-batch, recording takes as long as 40 to 1,400 meta-batches spare, compiling
# 10 to 30 s. Compiling pays where calling many small kernels is most of the work.
RECORDED_ITERATIONS, COMPILED_ITERATIONS = 500, 10_000
SMALL_BYTES, SHAPES = 2 * 2**20, 4
RECORDS = ("recorded", "compiled")  # engines that record
CONVOLUTIONS = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


class MetaStep:
    """Mean meta-objective over a meta-batch, whose backward pass hands out the meta-gradient.

    A part of the tasks at a time: on a CPU as many as the cache holds, so that a layer finds what
    the one before has left there, and so that memory does not grow with the meta-batch. Every task
    has its own loss, so the parts add up exactly. Where a meta-batch is more than the cache holds,
    the cores share its parts out.

    Recorded: the whole step, inner loops and meta-gradient, is written down once as a list of
    tensor operations and played back, which spares what autograd and ``vmap`` spend on finding it
    anew. Compiled: that list is compiled. Only values are recorded, so what a forward pass decides
    from them or from elsewhere is fixed at the first meta-batch of each shape.

    Args:
        learner: whose ``loss`` and parameters.
        engine: ``"loop"``, ``"batched"``, ``"recorded"``, ``"compiled"`` or ``"auto"``.

    Attributes:
        iterations: how many are to come, where that is known.
        most_processes: how many may share the parts of a meta-batch; None: one for each thread.
    """

    def __init__(self, learner: nn.Module, engine: str):
        self.learner, self.engine = learner, engine
        self.iterations = 0
        self.most_processes: int | None = None
        self._recorded: dict[tuple, Callable] = {}
        self._workers: PartWorkers | None = None

    def __getstate__(self) -> dict:  # other processes record for themselves
        return self.__dict__ | {"_recorded": {}, "_workers": None}

    def __call__(self, batch: MetaBatch) -> Tensor:
        """The mean loss, a scalar to call ``backward`` on once.

        Raises:
            BenchError: if the step is to be recorded or compiled and cannot be.
        """
        with mixed_precision.for_networks_alone(self.learner.device):
            return self._mean_loss(batch) if self.learner.trains else self.nothing()

    def _mean_loss(self, batch: MetaBatch) -> Tensor:
        engine, groups = self._engine_for(batch), split_by_shape(batch)
        records, tasks = engine in RECORDS, sum(len(g.query_y) for g in groups)
        pieces = []
        for group in groups:
            at_once = tasks if engine == "compiled" else self.tasks_at_once(group)
            pieces += split(group, at_once)
        # of mixed precision nothing is known in a later backward pass, where steps are recomputed
        later = not records and self.learner.follows_loss and not mixed_precision.asked_for()
        if len(pieces) == 1 and later:
            return self.learner.loss(pieces[0]).mean()
        parameters = self._parameters()
        processes = self._processes_for(groups, len(pieces), engine)
        try:
            if processes > 1:
                found = self._workers_of(processes)(pieces, engine)
            else:
                found = self._gradients_of(pieces, engine)
            total, gradients = 0.0, [None] * len(parameters)
            for loss, *gradient in found:
                total = total + loss
                gradients = [_sum(a, b) for a, b in zip(gradients, gradient)]
        except BenchError as error:
            if not records or self.engine != "auto":
                raise
            self.engine = "batched"
            warnings.warn(f"going on without recording the step: {error}", stacklevel=2)
            return self._mean_loss(batch)
        return _KnownGradient.apply(total, gradients, *parameters.values()) / tasks

    def _gradients_of(self, pieces: Sequence[Episode], engine: str) -> Iterator[Gradient]:
        """The summed losses of each part and their gradients, one part after the other."""
        parameters = self._parameters()
        for part in pieces:
            records = engine in RECORDS
            step = self._recorded_for(parameters, part, engine) if records else None
            if step is None:
                yield self.learner.meta_gradient(part, parameters)
            else:
                yield step(parameters, part)

    def _processes_for(self, groups: Sequence[Episode], parts: int, engine: str) -> int:
        """How many processes share the parts out.

        What is shared out takes so long that to send it is nothing, and does in any process what it
        would do here. Not where memory is short.
        """
        most = min(parts, torch.get_num_threads(), self.most_processes or parts)
        if most == 1 or engine in ("loop", "compiled") or groups[0].query_x.device.type != "cpu":
            return 1
        bytes_of_all = sum(len(g.query_y) * self._widest(g) for g in groups)
        if bytes_of_all <= PART_BYTES or self.learner.hparams.get("recompute"):
            return 1
        same_anywhere = all(map(is_recordable, self.learner.modules()))
        return most if same_anywhere and PartWorkers.possible() else 1

    def _workers_of(self, processes: int) -> PartWorkers:
        """The processes, made anew where there are too few or something else is learned."""
        tensors = [*self.learner.parameters(), *self.learner.buffers()]
        if self._workers is None or not self._workers.serve(processes, tensors):
            self.close()
            self._workers = PartWorkers(processes, self._list_gradients, tensors)
        return self._workers

    def _list_gradients(self, pieces: Sequence[Episode], engine: str) -> list[Gradient]:
        return list(self._gradients_of(pieces, engine))

    def close(self) -> None:
        """Ends the processes that share the parts; the next meta-batch makes others."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None

    def nothing(self) -> Tensor:
        """The loss of a step in which nothing is trained: no weight moves."""
        values = self._parameters().values()
        zero = torch.zeros((), device=self.learner.device)
        return _KnownGradient.apply(zero, [torch.zeros_like(v) for v in values], *values)

    def _parameters(self) -> dict[str, Tensor]:
        return {n: p for n, p in self.learner.named_parameters() if p.requires_grad}

    def _engine_for(self, batch: MetaBatch) -> str:
        engine = self._engine_asked_for(batch)
        if engine in RECORDS and torch_private.load_make_fx() is None:
            return "batched"
        return engine

    def _engine_asked_for(self, batch: MetaBatch) -> str:
        if isinstance(batch, Episode):
            return self.engine_for(batch)
        if self.engine in RECORDS:
            raise BenchError(
                f"engine={self.engine!r} needs meta-batches of one shape, and these tasks differ "
                "in theirs: use engine='batched'"
            )
        return "batched" if self.engine == "auto" else self.engine

    def engine_for(self, episode: Episode) -> str:
        """What computes meta-batches of this shape: the engine asked for, or what suits them.

        Unasked, only what says so is recorded: the rest may do something else at a later iteration.
        """
        if self.engine in RECORDS and not self.learner.follows_loss:
            raise BenchError(
                f"engine={self.engine!r}: {type(self.learner).__name__} makes its outer update "
                "itself, which cannot be recorded; use engine='batched'"
            )
        if self.engine != "auto":
            return self.engine
        if not self.learner.follows_loss:
            return "batched"
        modules = list(self.learner.modules())  # the algorithm's own class among them
        wide = self._widest(episode) > PART_BYTES  # kernels so long that what calls them is nothing
        few = self.iterations < RECORDED_ITERATIONS
        if wide or few or not all(map(is_recordable, modules)):
            return "batched"
        small = len(episode.query_y) * self._widest(episode) <= SMALL_BYTES
        convolves = any(isinstance(m, CONVOLUTIONS) for m in modules)
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
        shapes = (None if v is None else (v.shape, v.dtype, v.device) for v in episode)
        # parameters may be frozen and set free later
        key = tuple(shapes), tuple(parameters), mixed_precision.asked_for()
        if key not in self._recorded:
            if self.engine == "auto" and len(self._recorded) >= SHAPES:
                return None
            self.learner.loss(episode)  # what cannot be adapted is refused here, under its own name
            compiles = engine == "compiled"
            self._recorded[key] = record(self.learner, parameters, episode, compiles)
        return self._recorded[key]


def split(episode: Episode, tasks: int) -> list[Episode]:
    """Divides a batch of episodes into batches of ``tasks`` or fewer, as even as can be."""
    total = len(episode.query_y)
    count = -(-total // tasks)
    pieces = [[None] * count if v is None else v.tensor_split(count) for v in episode]
    return [Episode(*piece) for piece in zip(*pieces)]


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


class _KnownGradient(Function):
    """A loss whose gradient is known already."""

    @staticmethod
    def forward(ctx, loss, gradients, *parameters):
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(ctx, g):
        gradients, ctx.gradients = ctx.gradients, None
        return None, None, *(v if v is None else v * g for v in gradients)
