"""All that is used of what torch keeps private, and what is done in a torch that has it no longer.

Such names come and go with any version of torch. Where one is gone, the exact but slower path is
taken (torch's own layers under ``torch.func.vmap``, a step that is not recorded), and a warning
says so once. Nothing else in the suite touches a private name of torch's.
"""

import functools
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_GONE = (ImportError, AttributeError)


@functools.cache
def _warn_once(name: str, instead: str) -> None:
    warnings.warn(
        f"torch {torch.__version__} does not have {name}: {instead}, which is exact but slower",
        stacklevel=2,  # not as a warning of torch's, which calls this and whose advice is kept away
    )


# Out of vmap, and the kernels there -------------------------------------------------------------

try:
    from torch._C import _functorch
    from torch._functorch.pyfunctorch import retrieve_current_functorch_interpreter

    _is_batched, _level = _functorch.is_batchedtensor, _functorch.maybe_get_level
    _unwrapped, _axis = _functorch.get_unwrapped, _functorch.maybe_get_bdim
    _batched = _functorch._add_batch_dim
    convolution_backward = torch.ops.aten.convolution_backward
    native_batch_norm = torch.native_batch_norm
    native_batch_norm_backward = torch.ops.aten.native_batch_norm_backward
    threshold_backward = torch.ops.aten.threshold_backward
    _no_kernels = None
except _GONE as error:
    _no_kernels = str(error)


def has_kernels() -> bool:
    """Whether layers can be computed outside ``vmap`` by kernels of the suite."""
    if _no_kernels is not None:
        _warn_once(
            f"what the suite's layers for many tasks need ({_no_kernels})",
            "torch's own layers are used",
        )
    return _no_kernels is None


def differs(x: Tensor) -> bool:
    """Whether every task of the innermost ``vmap`` has a tensor of its own."""
    if not has_kernels():
        return False
    return _is_batched(x) and _level(x) == retrieve_current_functorch_interpreter().level()


def with_tasks(function: Callable[..., Tensor], *tensors: Tensor | None) -> Tensor:
    """Calls a function outside ``vmap``, with the tasks as a leading axis of every tensor.

    What ``autograd.Function`` does for a function with a ``vmap`` method, without its detours,
    which take longer than a small layer. Only where :func:`has_kernels`.
    """
    interpreter = retrieve_current_functorch_interpreter()
    level, tasks = interpreter.level(), interpreter.batch_size()
    plain = []
    for x in tensors:
        if x is not None and _is_batched(x) and _level(x) == level:
            x, axis = _unwrapped(x), _axis(x)
            x = x.movedim(axis, 0) if axis else x
        elif x is not None:
            x = x.expand(tasks, *x.shape)
        plain.append(x)
    with interpreter.lower():
        y = function(*plain)
    return _batched(y, 0, level)


@contextmanager
def no_advice() -> Iterator[None]:
    """Within this context torch does not warn of layers that ``vmap`` takes one by one: exactly."""
    try:
        warn = _functorch._set_vmap_fallback_warning_enabled
    except (NameError, AttributeError):  # no more than a warning is left
        yield
        return
    warn(False)
    try:
        yield
    finally:
        warn(True)  # as it is by default: torch does not tell


# Recording and compiling ------------------------------------------------------------------------


@functools.cache
def load_make_fx() -> Callable | None:
    """``make_fx``, which writes down what a function does with tensors; None where it is gone."""
    try:
        from torch.fx.experimental.proxy_tensor import make_fx
    except _GONE as error:
        _warn_once(f"make_fx ({error})", "steps are not recorded")
        return None
    return make_fx


@contextmanager
def values_alone() -> Iterator[None]:
    """Within this context ``make_fx`` makes no fake copy of each result: two thirds of its time.

    They tell a compiler the shapes; what is recorded here is played back, or traced anew.
    """
    try:
        from torch.fx.experimental import proxy_tensor

        extract = proxy_tensor.extract_val
    except _GONE:  # it takes longer
        yield
        return

    def without_tensors(value, *args, **kwargs):
        return None if isinstance(value, Tensor) else extract(value, *args, **kwargs)

    proxy_tensor.extract_val = without_tensors
    try:
        yield
    finally:
        proxy_tensor.extract_val = extract


def find_shape_from_values(graph: torch.fx.GraphModule) -> str | None:
    """The first operation of a recording whose result is as large as values say; None: none is.

    Played back, what follows it would take the size of the first time.
    """
    for node in graph.graph.nodes:
        if torch.Tag.dynamic_output_shape not in getattr(node.target, "tags", ()):
            continue
        if node.target is not torch.ops.aten.index.Tensor:
            return str(node.target)
        if any(_is_mask(place, graph) for place in node.args[1] if place is not None):
            return f"{node.target} with a mask"
    return None


def _is_mask(node: torch.fx.Node, graph: torch.fx.GraphModule) -> bool:
    """Whether an index says which rows to take, not the number of each row that is taken."""
    value = getattr(graph, node.target) if node.op == "get_attr" else node.meta["tensor_meta"]
    return value.dtype in (torch.bool, torch.uint8)


def has_hooks(module: nn.Module) -> bool:
    """Whether something else is called along with a module's forward pass."""
    names = ("_forward_hooks", "_forward_pre_hooks")
    return any(vars(module).get(name) for name in names) or "forward" in vars(module)


def find_cpp_compiler() -> None:
    """Looks for what compiles for the processor; where torch does not tell, compiling will.

    Raises:
        Exception: if there is none; torch has its own class for it, at a place that moves.
    """
    try:
        from torch._inductor.cpp_builder import get_cpp_compiler
    except _GONE:
        return
    get_cpp_compiler()


# Buffers and parameters, and whether they were changed ------------------------------------------


def buffers(layers: Iterable[nn.Module]) -> list[Tensor]:
    """The buffers of some modules alone; ``Module.buffers`` takes ten times as long."""
    try:
        return [b for layer in layers for b in layer._buffers.values() if b is not None]
    except AttributeError:
        _warn_once("Module._buffers", "its method is called")
        return [b for layer in layers for b in layer.buffers(recurse=False)]


def parameters(layers: Iterable[nn.Module]) -> list[Tensor]:
    """The parameters of some modules alone; ``Module.parameters`` takes ten times as long."""
    try:
        return [p for layer in layers for p in layer._parameters.values() if p is not None]
    except AttributeError:
        _warn_once("Module._parameters", "its method is called")
        return [p for layer in layers for p in layer.parameters(recurse=False)]


def version(x: Tensor) -> int | bytes:
    """What is another after a tensor was changed in place, however it was."""
    try:
        return x._version
    except AttributeError:
        _warn_once("Tensor._version", "buffers are compared by their content")
        return x.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
