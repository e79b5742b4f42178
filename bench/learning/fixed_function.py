"""Refuses a forward pass that is not a fixed function of the parameters and inputs.

An inner loop differentiates the same function at every step, for every task. A network that draws
random numbers, keeps something from one call to the next or computes its layers again in the
backward pass, when the adapted parameters are no longer in place, would be adapted to something
else, without an error.
"""

import random
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import numpy as np
import torch
import torch.utils.checkpoint
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.learning.parameters import call_with
from bench.learning.torch_private import buffers, parameters, version

SAME = 1e-2  # of the largest output: what rounding in another order does not reach


def probe(net: nn.Module, x: Tensor) -> None:
    """Evaluates a network twice, and refuses it unless it can be adapted.

    The parameters are copies, so that a network that changes them has not when it is refused.

    Args:
        net: the network, which must not read a parameter but from where it is registered.
        x: ``[rows, *input_shape]`` of one task.

    Raises:
        BenchError: says what the network does, and what to use instead.
    """
    constant = {n: p.detach().clone() for n, p in net.named_parameters()}
    before = _random_states(x.device)
    with unchanged(net, constant.values()), torch.enable_grad():
        outputs = call_with(net, constant, x)
    if _random_states(x.device) != before:
        raise draws_random_numbers(net)
    name = type(net).__name__
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
    with unchanged(net, constant.values()), torch.no_grad():
        again = call_with(net, constant, x)
    if ((again - outputs).abs() > SAME * outputs.abs().max()).any():  # NaN: not for here to say
        raise BenchError(
            f"{name} gives other outputs when it is called again with the same inputs: it keeps "
            "something from one call to the next, or draws random numbers; an adapted network must "
            "be a fixed function of its parameters"
        )


@contextmanager
def unchanged(net: nn.Module, tensors: Iterable[Tensor]) -> Iterator[None]:
    """Within this context, a forward pass may not change the network, nor put layers off.

    Args:
        net: whose buffers and parameters stay.
        tensors: what is put in the place of parameters, and stays too.

    Raises:
        BenchError: says which of them it has changed, or that it uses activation checkpointing.
    """
    layers, tensors, name = list(net.modules()), list(tensors), type(net).__name__

    buffers_before = _versions(buffers(layers))
    parameters_before = _versions(parameters(layers) + tensors)
    with _no_checkpointing(name):
        yield
    if not _same(buffers_before, _versions(buffers(layers))):
        raise BenchError(
            f"{name} changes its buffers in its forward pass, so that one task's data would leak "
            "into the next; use layers without running statistics"
        )
    if not _same(parameters_before, _versions(parameters(layers) + tensors)):
        raise BenchError(
            f"{name} changes its parameters in its forward pass, as nn.Embedding(max_norm=...) "
            "does; an adapted network must be a fixed function of its parameters"
        )


@contextmanager
def _no_checkpointing(name: str) -> Iterator[None]:
    """Within this context, ``torch.utils.checkpoint`` is refused, in both of its ways."""
    words = (
        f"{name} uses activation checkpointing (torch.utils.checkpoint), which computes layers "
        "again in the backward pass, when the adapted parameters are no longer in place: switch it "
        "off; what saves memory here is recompute=True, or fewer tasks per batch"
    )

    class Refused:
        @staticmethod
        def apply(*args):
            raise BenchError(words)

    reentrant = torch.utils.checkpoint.CheckpointFunction
    with ExitStack() as stack:
        with suppress(RuntimeError):  # where the caller has hooks in force already
            stack.enter_context(torch.autograd.graph.disable_saved_tensors_hooks(words))
        stack.callback(setattr, torch.utils.checkpoint, "CheckpointFunction", reentrant)
        torch.utils.checkpoint.CheckpointFunction = Refused
        try:
            yield
        except RuntimeError as error:
            if words in str(error):
                raise BenchError(words) from None
            raise


def draws_random_numbers(net: nn.Module) -> BenchError:
    """What a network is refused with that has been seen to draw them."""
    return BenchError(
        f"{type(net).__name__} draws random numbers in its forward pass; an adapted network must "
        "be a fixed function of its parameters: remove the dropout"
    )


Versions = list[tuple[Tensor, int | bytes]]


def _versions(tensors: Iterable[Tensor]) -> Versions:
    return [(v, version(v)) for v in tensors]


def _same(before: Versions, after: Versions) -> bool:
    return len(before) == len(after) and all(
        a is b and i == j for (a, i), (b, j) in zip(before, after)
    )


def _random_states(device: torch.device) -> tuple:
    """Of torch's, Python's and NumPy's global generators."""
    own = torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()
    kind, words, *rest = np.random.get_state()
    return own.numpy().tobytes(), random.getstate(), kind, words.tobytes(), rest
