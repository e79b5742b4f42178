"""Small networks, one for each kind of layer, as plain numbers that every library can load."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from bench.checks.exactness.sizes import CHANNELS, IMAGE, OUTPUTS, SEQUENCE, WIDTH, WORDS


def _convolutions(values: int, at: tuple[int, int], norm: tuple[int, ...] | None = None) -> dict:
    """Shapes of two convolutions of 3x3 at these places, norms behind them, and the last layer."""
    shapes = {}
    for place, channels in zip(at, (IMAGE[0], CHANNELS)):
        shapes |= {f"{place}.weight": (CHANNELS, channels, 3, 3), f"{place}.bias": (CHANNELS,)}
        if norm:
            shapes |= {f"{place + 1}.{n}": norm for n in ("weight", "bias")}
    return shapes | _head(values)


def _linear(name: str) -> dict:
    return {f"{name}.weight": (WIDTH, WIDTH), f"{name}.bias": (WIDTH,)}


def _head(values: int) -> dict:
    return {"head.weight": (OUTPUTS, values), "head.bias": (OUTPUTS,)}


@dataclass(frozen=True)
class Layer:
    """A network with one kind of layer, and a meta-batch for it: a workload of contestants.

    Attributes:
        name: of the kind of layer, as in the records.
        label: its heading in tables.
        input_shape: of one example.
        shapes: name of each weight to its shape.
        outputs: classes.
        support: support rows of a task.
        query: query rows of a task.
        tasks: tasks of a meta-batch.
        inner_steps: gradient steps on the support set.
        inner_lr: their size.
        kind: of its tasks.
        device: of its tensors, as torch names it.
    """

    name: str
    label: str
    input_shape: tuple[int, ...]
    shapes: dict[str, tuple[int, ...]] = field(hash=False)
    outputs: int = OUTPUTS
    support: int = 6
    query: int = 5
    tasks: int = 2
    inner_steps: int = 2
    inner_lr: float = 0.1
    kind: str = "classification"
    device: ClassVar[str] = "cpu"

    def network(self):
        """The network in PyTorch."""
        from bench.checks.exactness import torch_layers

        return torch_layers.build(self.name, self.shapes["head.weight"][1])

    def jax_network(self):
        """The same in JAX, as a function of weights and inputs."""
        from bench.checks.exactness import jax_layers

        return jax_layers.FORWARD[self.name]

    def weights(self, dtype: str) -> dict[str, np.ndarray]:
        """Initial weights by name; those of norms are not left at one and zero."""
        random, made = np.random.default_rng(0), {}
        for name, shape in self.shapes.items():
            scale = 1.5 / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.3
            offset = float(len(shape) == 1 and name.endswith("weight"))
            made[name] = (offset + scale * random.normal(size=shape)).astype(dtype)
        return made

    def batch(self, dtype: str) -> list[np.ndarray]:
        """Support inputs and targets, query inputs and targets, each ``[tasks, rows, ...]``."""
        random, fields = np.random.default_rng(1), []
        for rows in (self.support, self.query):
            fields.append(random.normal(size=(self.tasks, rows, *self.input_shape)).astype(dtype))
            fields.append(random.integers(self.outputs, size=(self.tasks, rows)))
        return fields


FLAT = CHANNELS * IMAGE[1] * IMAGE[2]
NORMED = _convolutions(FLAT, (0, 3), (CHANNELS,))
LAYER_NORMED = _convolutions(FLAT, (0, 3), (CHANNELS, *IMAGE[1:]))
LAYERS = {
    layer.name: layer
    for layer in (
        Layer("linear", "linear", (WIDTH,), _linear("0") | _head(WIDTH)),
        Layer("convolution", "convolution", IMAGE, _convolutions(FLAT, (0, 2))),
        Layer("max_pool", "max-pool", IMAGE, _convolutions(CHANNELS, (0, 3))),
        Layer("batch_norm", "batch norm", IMAGE, NORMED),
        Layer("running_batch_norm", "batch norm, running statistics", IMAGE, NORMED),
        Layer("layer_norm", "layer norm", IMAGE, LAYER_NORMED),
        Layer("instance_norm", "instance norm", IMAGE, NORMED),
        Layer("group_norm", "group norm", IMAGE, NORMED),
        Layer(
            "attention", "attention", (SEQUENCE, WIDTH),
            {
                "layer.in_proj_weight": (3 * WIDTH, WIDTH), "layer.in_proj_bias": (3 * WIDTH,),
                "layer.out_proj.weight": (WIDTH, WIDTH), "layer.out_proj.bias": (WIDTH,),
            } | _head(WIDTH),
        ),
        Layer(
            "lstm", "LSTM", (SEQUENCE, WIDTH),
            {
                "layer.weight_ih_l0": (4 * WIDTH, WIDTH), "layer.weight_hh_l0": (4 * WIDTH, WIDTH),
                "layer.bias_ih_l0": (4 * WIDTH,), "layer.bias_hh_l0": (4 * WIDTH,),
            } | _head(WIDTH),
        ),
        Layer(
            "embedding", "embedding, padding", (SEQUENCE,),
            {"layer.weight": (WORDS, WIDTH)} | _head(WIDTH),
        ),
        Layer("shared", "shared layer", (WIDTH,), _linear("first") | _head(WIDTH)),
        Layer(
            "tied", "tied weight", (WIDTH,),
            _linear("first") | {"second.bias": (WIDTH,)} | _head(WIDTH),
        ),
        Layer(
            "checkpointing", "checkpointing", (WIDTH,),
            _linear("layer.0") | _head(WIDTH),
        ),
    )
}  # fmt: skip
