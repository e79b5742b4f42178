"""A network called with tensors in the place of its parameters."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call

from bench.base.errors import BenchError


def call_with(net: nn.Module, tensors: Mapping[str, Tensor], *inputs: Any) -> Any:
    """What a network gives with these tensors as its parameters; it keeps its own.

    A tensor stands for the parameter object of that name, wherever the network uses it: in a layer
    registered under several names, and in several layers that share one weight.
    ``torch.func.functional_call`` goes by names, and leaves a layer that has two with the tensors.

    Args:
        net: the network.
        tensors: any name of a parameter to what takes its place; the others stay as they are.
        *inputs: of the network.

    Raises:
        BenchError: if the forward pass puts another tensor in a parameter's place.
    """
    by_object = {id(attrgetter(name)(net)): v for name, v in tensors.items()}
    put_in = {  # each place once, whatever names its layer has
        f"{path}.{name}" if path else name: by_object[id(p)]
        for path, layer in net.named_modules()
        for name, p in layer.named_parameters(recurse=False, remove_duplicate=False)
        if id(p) in by_object
    }
    found = dict(put_in)  # in which functional_call notes what it finds there afterwards
    outputs = functional_call(net, found, inputs, tie_weights=False)
    changed = next((n for n, v in put_in.items() if found.get(n) is not v), None)
    if changed is not None:
        raise BenchError(
            f"{type(net).__name__} assigns to its parameter {changed!r} in its forward pass; an "
            "adapted network must be a fixed function of its parameters"
        )
    return outputs
