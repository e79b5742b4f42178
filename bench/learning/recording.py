"""Writes a meta-step down as a list of tensor operations, to be played back or compiled."""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from bench.base.errors import BenchError, out_of_memory
from bench.learning import torch_private
from bench.learning.cuda_graph import CudaGraph
from bench.learning.parameters import call_with
from bench.learning.second_derivatives import missing_are_named
from bench.tasks.episode import Episode

TORCH_LAYERS = {c for c in vars(nn).values() if isinstance(c, type) and issubclass(c, nn.Module)}


def is_recordable(module: nn.Module) -> bool:
    """Whether a module may be recorded without having been asked for.

    What it computes must follow from its parameters and inputs alone, now and at any later
    iteration. Layers of torch are such; other classes must say so, with ``recordable = True`` in
    their own body: a subclass may do something else, and has to say so again.
    """
    cls = type(module)
    declared = cls in TORCH_LAYERS or vars(cls).get("recordable", False)
    return declared and not torch_private.has_hooks(module)


def record(
    learner: nn.Module, parameters: dict[str, Tensor], episode: Episode, compiles: bool
) -> Callable[[dict[str, Tensor], Episode], list[Tensor | None]]:
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
    given = [i for i, v in enumerate(episode) if v is not None]

    def step(values: list[Tensor], batch: list[Tensor]) -> list[Tensor | None]:
        named = dict(zip(parameters, values))
        fields: list[Tensor | None] = [None] * len(episode)
        for i, v in zip(given, batch):
            fields[i] = v
        loss = call_with(learner, named, Episode(*fields)).sum()
        return [v if v is None else v.detach() for v in with_gradient(loss, named)]

    def arguments(parameters, episode):
        return [p.detach() for p in parameters.values()], [episode[i] for i in given]

    values, batch = arguments(parameters, episode)
    device = values[0].device.type
    if compiles:
        require_compiler(device)
    with _quiet(), _WithoutReading(), torch_private.values_alone(), _lstm_of_plain_operations():
        try:
            operations = {torch.ops.aten.baddbmm.default: _product_and_sum} if compiles else None
            graph = torch_private.load_make_fx()(step, operations)(
                [v.clone().requires_grad_() for v in values], batch
            )
        except Exception as error:
            if isinstance(error, BenchError) or out_of_memory(error):
                raise
            raise _refusal(_first_line(error)) from error
    graph.graph.eliminate_dead_code()
    graph.recompile()
    if operation := torch_private.find_shape_from_values(graph):
        raise _refusal(f"how large the result of {operation} is depends on values")
    function = (_compiled if compiles else _played_back)(graph, values, batch)

    def run(parameters, episode):
        with torch.no_grad(), _quiet():
            return function(*arguments(parameters, episode))

    return run


def _played_back(graph: Callable, values: list[Tensor], batch: list[Tensor]) -> Callable:
    """The list as it is; on a GPU as one CUDA graph."""
    if not values[0].is_cuda:
        return graph
    try:
        with torch.no_grad(), _quiet():
            return CudaGraph(graph, values, batch)
    except RuntimeError as error:  # an operation that a CUDA graph cannot hold
        if out_of_memory(error):
            raise
        warnings.warn(f"kernels are launched one by one: {_first_line(error)}", stacklevel=2)
        return graph


def _compiled(graph: Callable, values: list[Tensor], batch: list[Tensor]) -> Callable:
    """The list compiled: kernels are called from C++, on a GPU as one CUDA graph."""
    how = {"mode": "reduce-overhead"} if values[0].is_cuda else {"options": {"cpp_wrapper": True}}
    compiled = torch.compile(graph, dynamic=False, **how)
    try:
        with torch.no_grad(), _quiet():
            compiled(values, batch)  # which compiles it, while there is still another way to go
    except Exception as error:
        if out_of_memory(error):
            raise
        raise BenchError(
            f"this step cannot be compiled ({_first_line(error)}); use engine='recorded'"
        ) from error
    return compiled


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def require_compiler(device: str) -> None:
    """Refuses to compile where nothing can.

    Raises:
        BenchError: says what to install.
    """
    if device != "cpu":
        return
    try:
        torch_private.find_cpp_compiler()
    except Exception as error:  # torch has its own class for it, at a place that moves
        raise BenchError(
            "engine='compiled' needs a C++ compiler such as g++ or clang, and none was found; "
            "install one, or use engine='batched'"
        ) from error


def with_gradient(loss: Tensor, parameters: dict[str, Tensor]) -> list[Tensor | None]:
    """A loss, and its gradient for each parameter; None for one that it does not depend on."""
    with missing_are_named():
        gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return [loss.detach(), *gradients]


def _lstm_of_plain_operations() -> AbstractContextManager:
    """Within this context, LSTM is written down without oneDNN.

    Its kernel keeps nothing for its derivative when it is played back, where autograd is off.
    """
    return torch.backends.mkldnn.flags(enabled=False)


def _product_and_sum(
    x: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """``baddbmm`` as two operations: compiled, the sum is part of what comes before or after.

    The one operation copies ``x`` before it adds to it.
    """
    product = torch.bmm(a, b)
    return (x if beta == 1 else beta * x) + (product if alpha == 1 else alpha * product)


class _WithoutReading(TorchFunctionMode):
    """Within this context, operations that look at values to no purpose do without.

    A recording holds no values. ``one_hot`` reads them to refuse class numbers out of range.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is F.one_hot:
            return _one_hot(*args, **kwargs or {})
        return function(*args, **kwargs or {})


def _one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    if num_classes < 0:
        raise BenchError(
            "this step cannot be recorded (one_hot without num_classes depends on values): give "
            "one_hot the number of classes, or use engine='batched'"
        )
    return (tensor[..., None] == torch.arange(num_classes, device=tensor.device)).long()


def _refusal(reason: str) -> BenchError:
    return BenchError(f"this step cannot be recorded ({reason}); use engine='batched'")


@contextmanager
def _quiet():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="torch")
        yield
