"""What the JAX contestants share: networks as functions of their weights and inputs."""

import re
from collections.abc import Callable
from functools import partial


def forward(workload) -> Callable:
    """The suite's own network, a function of weights and ``x: [rows, ...]``."""
    names = {n.rsplit(".", 1)[0] for n in workload.weights("float32") if n.startswith("features")}
    layers = sorted(names, key=lambda n: int(re.search(r"\d+", n)[0]))
    return partial(_images if workload.images else _vectors, workload, layers)


def linear(w, name, x):
    """A linear layer."""
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def convolve(w, name, x, stride):
    """A convolution of 3x3 as one matrix product, ``[rows, height, width, channels]``."""
    import jax.numpy as jnp

    kernel = w[f"{name}.weight"]
    high, wide = (-(-n // stride) for n in x.shape[1:3])
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifts = [(i, j) for i in range(3) for j in range(3)]
    ends = stride * (high - 1) + 1, stride * (wide - 1) + 1
    windows = [x[:, i : i + ends[0] : stride, j : j + ends[1] : stride] for i, j in shifts]
    columns = jnp.concatenate(windows, -1)
    matrix = kernel.transpose(2, 3, 1, 0).reshape(-1, kernel.shape[0])
    return columns @ matrix + w[f"{name}.bias"]


def normalise(x, axes):
    """Mean 0 and variance 1 over these axes."""
    import jax

    mean = x.mean(axes, keepdims=True)
    variance = ((x - mean) ** 2).mean(axes, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5)


def pool(x):
    """The largest of each 2x2, ``[rows, height, width, channels]``."""
    rows, high, wide, channels = x.shape
    x = x[:, : high // 2 * 2, : wide // 2 * 2]
    return x.reshape(rows, high // 2, 2, wide // 2, 2, channels).max((2, 4))


def flatten(x):
    """As PyTorch flattens ``[rows, channels, height, width]``."""
    return x.transpose(0, 3, 1, 2).reshape(len(x), -1)


def _vectors(workload, layers, w, x):
    import jax

    for name in layers:
        x = jax.nn.relu(linear(w, name, x))
    return linear(w, "head", x)


def _images(workload, layers, w, x):
    import jax

    x = x.transpose(0, 2, 3, 1)
    for conv, norm in zip(layers[::2], layers[1::2]):
        x = normalise(convolve(w, conv, x, 1 if workload.pool else 2), (0, 1, 2))
        x = jax.nn.relu(x * w[f"{norm}.weight"] + w[f"{norm}.bias"])
        if workload.pool:
            x = pool(x)
    return linear(w, "head", flatten(x))
