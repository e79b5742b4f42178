"""torchvision's networks of classes, made such that they adapt to a task exactly."""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bench.base.errors import BenchError, nearest
from bench.tasks.episode import TaskSpec

Norm = Literal["batch", "group"]
MOST_GROUPS = 32  # Wu and He 2018
SIDE_OUTPUTS = ("googlenet", "inception_v3")  # have more outputs in training
RATES = ("p", "dropout", "attention_dropout")  # numbers that layers keep which drop something


class Torchvision(nn.Module):
    """A network of torchvision by its name there, with random weights.

    Its last layer is ``head``, all before it ``features``. What differs from torchvision's own, so
    that it is a fixed function of its parameters: no dropout and no stochastic depth, activations
    are not in place, no auxiliary outputs in training, and normalisation as ``norm`` says. Grey
    images are given to all three channels. Weights of torchvision's own fit: see ``weights`` of
    ``model_options``.

    Args:
        spec: tasks with images of one or three channels.
        network: as ``torchvision.models.get_model`` knows it.
        norm: what becomes of batch norm with running statistics, which would mix tasks.
            ``"batch"``: it takes the statistics of the rows at hand, as the suite's own networks
            do. ``"group"``: it becomes group norm (Wu and He 2018, arXiv:1803.08494) in 32 groups,
            or as many as divide the channels, with the same scale and shift.

    Raises:
        BenchError: if there is no such network, or it does not take such images.
    """

    def __init__(self, spec: TaskSpec, network: str = "resnet18", norm: Norm = "batch"):
        from torchvision import models

        super().__init__()
        known = models.list_models(module=models)
        if network not in known:
            raise BenchError(
                f"torchvision has no network of classes {network!r}: {nearest(network, known)}"
            )
        if len(spec.input_shape) != 3 or spec.input_shape[0] not in (1, 3):
            raise BenchError(
                "torchvision's networks take images of one or three channels, not inputs of shape "
                f"{spec.input_shape}"
            )
        high, wide = spec.input_shape[1:]
        options: dict[str, Any] = {}
        if network.startswith("vit_"):  # built for images of one size
            options["image_size"] = high
        elif network.startswith("maxvit_"):
            options["input_size"] = (high, wide)
        if network in SIDE_OUTPUTS:
            options |= {"aux_logits": False, "init_weights": True}
        try:
            net = models.get_model(network, weights=None, num_classes=spec.outputs, **options)
        except (ValueError, RuntimeError, AssertionError) as error:
            raise _unfit(network, spec, error) from None
        make_adaptable(net, norm)
        if spec.input_shape[0] == 1:
            net.register_forward_pre_hook(_in_colour)
        path, head = _last_layer(net)
        if isinstance(head, nn.Linear):
            net.set_submodule(path, nn.Identity())
            self.features, self.head = net, head
        else:  # squeezenet ends with a convolution
            self.net = net
        self.network = network
        self.to(torch.get_default_dtype())  # also tables of positions
        _check_takes(self, spec)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[rows, channels, height, width]`` to ``[rows, outputs]``."""
        return self.net(x) if hasattr(self, "net") else self.head(self.features(x))


def _in_colour(net: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    """Grey images in all three channels, ``[rows, 3, height, width]``."""
    return inputs[0].expand(-1, 3, -1, -1)


def make_adaptable(net: nn.Module, norm: Norm) -> None:
    """Changes a network in place, so that it is a fixed function of its parameters.

    Args:
        net: of torchvision, or made of such layers.
        norm: what becomes of batch norm, see :class:`Torchvision`.
    """
    for layer in list(net.modules()):
        for rate in RATES:
            if isinstance(getattr(layer, rate, None), float):
                setattr(layer, rate, 0.0)
        if getattr(layer, "inplace", False):
            layer.inplace = False
        for name, child in layer.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(layer, name, _normalisation(child, norm))


def _normalisation(layer: nn.BatchNorm2d, norm: Norm) -> nn.Module:
    channels = layer.num_features
    if norm == "batch":
        made = _BatchNorm(channels, layer.eps, track_running_stats=False)
    else:
        made = nn.GroupNorm(math.gcd(channels, MOST_GROUPS), channels, layer.eps)
    made.weight, made.bias = layer.weight, layer.bias  # as they start
    return made


class _BatchNorm(nn.BatchNorm2d):
    """Batch norm that gives a tensor of its own, to which residual blocks add in place."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).clone()


def _last_layer(net: nn.Module) -> tuple[str, nn.Module]:
    own = [(n, m) for n, m in net.named_modules() if any(True for _ in m.parameters(False))]
    return own[-1]


def _check_takes(net: "Torchvision", spec: TaskSpec) -> None:
    """Refuses images that a network has no outputs for, such as small ones.

    Raises:
        BenchError: says why.
    """
    try:
        with torch.no_grad():
            net(torch.zeros(2, *spec.input_shape))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise _unfit(net.network, spec, error) from None


def _unfit(name: str, spec: TaskSpec, error: Exception) -> BenchError:
    size = "x".join(map(str, spec.input_shape[1:]))
    why = str(error).strip().split("\n")[0]
    return BenchError(
        f"torchvision's {name} does not take images of {size} ({why}): give larger ones, such as "
        "of 224x224, or another network"
    )
