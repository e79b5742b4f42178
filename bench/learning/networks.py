"""Networks by name: builds a model of the suite for the tasks at hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from bench.base import registry
from bench.base.errors import BenchError
from bench.base.outside import TORCHVISION
from bench.tasks.episode import TaskSpec


def build_model(name: str | None, spec: TaskSpec, options: dict[str, Any]) -> nn.Module:
    """The model of that name for these tasks.

    Args:
        name: a file name of ``bench/models``; ``torchvision:resnet18`` and its like; None:
            ``conv4`` for images, otherwise ``mlp``.
        spec: what the tasks look like.
        options: further arguments of the model.

    Raises:
        BenchError: for an unknown name, an unknown option, or a model that does not fit the
            tasks.
    """
    if name is None:
        name = "conv4" if len(spec.input_shape) == 3 else "mlp"
    if name.startswith(TORCHVISION):
        options = options | {"network": name.removeprefix(TORCHVISION)}
        name = TORCHVISION.removesuffix(":")
    return registry.create("models", name, spec, **options)


def features_of(net: nn.Module) -> nn.Module:
    """The part of a network whose outputs are embedded rows.

    Raises:
        BenchError: if the network has no such part.
    """
    features = getattr(net, "features", None)
    if not isinstance(features, nn.Module):
        raise BenchError(
            f"embedding rows needs a network with .features; {type(net).__name__} has none"
        )
    return features


def head_of(net: nn.Module) -> nn.Module:
    """The last layer of a network.

    Raises:
        BenchError: if it does not bear its name.
    """
    head = getattr(net, "head", None)
    if not isinstance(head, nn.Module):
        raise BenchError(
            f"a part that adapts alone needs a network with .head; {type(net).__name__} has none"
        )
    return head


def width_of(features: nn.Module, spec: TaskSpec) -> int:
    """How many numbers an embedded row has."""
    with torch.no_grad():  # two rows, as batch norm cannot do with one
        return features(torch.zeros(2, *spec.input_shape)).shape[-1]


@contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """Within this context, weights are made on the CPU and follow from a seed.

    Modules draw them from torch's global generator, which is left as it was.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        yield
