"""The networks of :mod:`bench.checks.exactness.layers` in PyTorch, as a user would write them."""

from collections import OrderedDict

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bench.checks.exactness.sizes import CHANNELS, IMAGE, OUTPUTS, PADDING, WIDTH, WORDS

AFTER = {  # a convolution
    "max_pool": lambda: nn.MaxPool2d(2),
    "batch_norm": lambda: nn.BatchNorm2d(CHANNELS, track_running_stats=False),
    "running_batch_norm": lambda: nn.BatchNorm2d(CHANNELS),
    "layer_norm": lambda: nn.LayerNorm([CHANNELS, *IMAGE[1:]]),
    "instance_norm": lambda: nn.InstanceNorm2d(CHANNELS, affine=True),
    "group_norm": lambda: nn.GroupNorm(1, CHANNELS),
}


def build(name: str, values: int) -> nn.Module:
    """The network of a kind of layer, with weights of its own.

    Args:
        name: of the kind of layer.
        values: how many numbers of a row its last layer takes.
    """
    if name in OWN:
        return OWN[name]()
    if name == "linear":
        return _sequence(values, nn.Linear(WIDTH, WIDTH), nn.Tanh())
    layers = []
    for channels in (IMAGE[0], CHANNELS):
        layers.append(nn.Conv2d(channels, CHANNELS, 3, padding=1))
        if name in AFTER:
            layers.append(AFTER[name]())
        layers.append(nn.Tanh())
    return _sequence(values, *layers, nn.Flatten())


def without_checkpoints(net: nn.Module) -> nn.Module:
    """The same function of the same weights, whose layers are computed once."""
    for layer in net.modules():
        if isinstance(layer, Checkpointing):
            layer.again = False
    return net


def _sequence(values: int, *layers: nn.Module) -> nn.Module:
    named = [(str(i), layer) for i, layer in enumerate(layers)]
    return nn.Sequential(OrderedDict([*named, ("head", nn.Linear(values, OUTPUTS))]))


class Attention(nn.Module):
    """Self-attention without its weights, as ``nn.TransformerEncoderLayer`` asks for it."""

    def __init__(self):
        super().__init__()
        self.layer = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.head = nn.Linear(WIDTH, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[rows, words, width]`` to ``[rows, outputs]``."""
        return self.head(self.layer(x, x, x, need_weights=False)[0].mean(1))


class LSTM(nn.Module):
    """A recurrent layer, of which the last output counts."""

    def __init__(self):
        super().__init__()
        self.layer = nn.LSTM(WIDTH, WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[rows, words, width]`` to ``[rows, outputs]``."""
        return self.head(self.layer(x)[0][:, -1])


class Embedding(nn.Module):
    """Words, one of which is padding and learns nothing."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Embedding(WORDS, WIDTH, padding_idx=PADDING)
        self.head = nn.Linear(WIDTH, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        """Maps numbers ``[rows, words]``, of which words are made, to ``[rows, outputs]``."""
        words = (3 * x.abs()).long() % WORDS
        return self.head(self.layer(words).mean(1).tanh())


class Shared(nn.Module):
    """A layer that the network knows under two names."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(WIDTH, WIDTH)
        self.second = self.first
        self.head = nn.Linear(WIDTH, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[rows, width]`` to ``[rows, outputs]``."""
        return self.head(self.second(self.first(x).tanh()).tanh())


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.second.weight = self.first.weight
        self.head = nn.Linear(WIDTH, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[rows, width]`` to ``[rows, outputs]``."""
        return self.head(self.second(self.first(x).tanh()).tanh())


class Checkpointing(nn.Module):
    """A layer that is computed again in the backward pass."""

    def __init__(self):
        super().__init__()
        self.again = True
        self.layer = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh())
        self.head = nn.Linear(WIDTH, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[rows, width]`` to ``[rows, outputs]``."""
        if self.again:
            return self.head(checkpoint(self.layer, x, use_reentrant=False))
        return self.head(self.layer(x))


OWN = {
    "attention": Attention,
    "lstm": LSTM,
    "embedding": Embedding,
    "shared": Shared,
    "tied": Tied,
    "checkpointing": Checkpointing,
}
