"""A network of the suite with context parameters that scale and shift one of its layers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.base import arguments, registry
from bench.base.errors import BenchError
from bench.tasks.episode import TaskSpec


class FiLM(nn.Module):
    """``conv4`` for images, otherwise ``mlp``, modulated by a few parameters that alone adapt.

    Feature-wise linear modulation (Perez et al. 2018, arXiv:1709.07871) as CAVIA uses it (Zintgraf
    et al. 2019, arXiv:1810.03642, section 3): the context is mapped linearly to a factor and a
    summand for each channel, of the third block of ``conv4`` after batch norm, or of the first
    hidden layer of ``mlp``. Before training the factors are 1 and the summands 0.

    What differs from CAVIA's networks: they start as torch's layers do, pool before they modulate,
    and give vectors the context as further inputs, which are summands alone.

    Args:
        spec: what the tasks look like.
        context: how many context parameters; None: 100 for images, otherwise 5, as in the paper.
        filters: of ``conv4``; None: its own default, as of the following.
        hidden: of ``mlp``.
        embedding: of ``mlp``.
    """

    recordable = True

    def __init__(
        self,
        spec: TaskSpec,
        context: int | None = None,
        filters: int | None = None,
        hidden: Sequence[int] | None = None,
        embedding: int | None = None,
    ):
        super().__init__()
        images = len(spec.input_shape) == 3
        context = (100 if images else 5) if context is None else context
        arguments.require_at_least(1, context=context)
        given = {"filters": filters, "hidden": hidden, "embedding": embedding}
        given = {n: v for n, v in given.items() if v is not None}
        net = registry.create("models", "conv4" if images else "mlp", spec, **given)
        kind, number = (nn.BatchNorm2d, 2) if images else (nn.Linear, 0)
        layers = list(net.features)
        places = [i for i, layer in enumerate(layers) if isinstance(layer, kind)]
        if not places:
            raise BenchError("film needs a hidden layer to modulate: give hidden=(40, 40)")
        place = places[number] + 1
        modulated = layers[place - 1]
        channels = modulated.num_features if images else modulated.out_features
        layers.insert(place, Modulation(context, channels))
        self.features, self.head = nn.Sequential(*layers), net.head
        self.adapts = (f"features.{place}.context",)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[rows, *input_shape]`` to ``[rows, outputs]``."""
        return self.head(self.features(x))


class Modulation(nn.Module):
    """Scales and shifts each channel by what a linear layer makes of the context.

    Args:
        context: how many context parameters.
        channels: of the layer before.
    """

    recordable = True

    def __init__(self, context: int, channels: int):
        super().__init__()
        self.context = nn.Parameter(torch.zeros(context))
        self.linear = nn.Linear(context, 2 * channels)
        with torch.no_grad():
            self.linear.bias.copy_(torch.cat([torch.ones(channels), torch.zeros(channels)]))

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[rows, channels, ...]`` to the same."""
        shape = (-1, *[1] * (x.dim() - 2))
        factor, summand = self.linear(self.context).chunk(2)
        return factor.view(shape) * x + summand.view(shape)
