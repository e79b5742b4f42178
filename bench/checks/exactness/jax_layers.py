"""The networks of :mod:`bench.checks.exactness.layers` in JAX, as functions of their weights."""

from functools import partial

import jax
import jax.numpy as jnp

from bench.checks.exactness.sizes import PADDING, WIDTH, WORDS
from bench.checks.speed.jax_parts import convolve, flatten, linear, normalise, pool

HEADS = 2


def _linear(w, x):
    return linear(w, "head", jnp.tanh(linear(w, "0", x)))


def _images(places, between, w, x):
    x = x.transpose(0, 2, 3, 1)
    for place in places:
        x = jnp.tanh(between(w, f"{place + 1}", convolve(w, f"{place}", x, 1)))
    return linear(w, "head", flatten(x))


def _norm(axes, w, name, x):
    scale, shift = w[f"{name}.weight"], w[f"{name}.bias"]
    if scale.ndim == 3:  # of layer norm, [channels, height, width]
        scale, shift = scale.transpose(1, 2, 0), shift.transpose(1, 2, 0)
    return normalise(x, axes) * scale + shift


def _attention(w, x):
    rows, words, _ = x.shape
    every = x @ w["layer.in_proj_weight"].T + w["layer.in_proj_bias"]
    q, k, v = (
        part.reshape(rows, words, HEADS, -1).transpose(0, 2, 1, 3)
        for part in jnp.split(every, 3, axis=-1)
    )
    weights = jax.nn.softmax(q @ k.swapaxes(-1, -2) / jnp.sqrt(q.shape[-1]), axis=-1)
    mixed = (weights @ v).transpose(0, 2, 1, 3).reshape(rows, words, WIDTH)
    return linear(w, "head", linear(w, "layer.out_proj", mixed).mean(1))


def _lstm(w, x):
    h = c = jnp.zeros((len(x), WIDTH), x.dtype)
    for word in range(x.shape[1]):
        gates = x[:, word] @ w["layer.weight_ih_l0"].T + w["layer.bias_ih_l0"]
        gates += h @ w["layer.weight_hh_l0"].T + w["layer.bias_hh_l0"]
        let_in, forget, new, out = jnp.split(gates, 4, axis=-1)
        c = jax.nn.sigmoid(forget) * c + jax.nn.sigmoid(let_in) * jnp.tanh(new)
        h = jax.nn.sigmoid(out) * jnp.tanh(c)
    return linear(w, "head", h)


def _embedding(w, x):
    words = (3 * jnp.abs(x)).astype(int) % WORDS
    table = w["layer.weight"]
    table = table.at[PADDING].set(jax.lax.stop_gradient(table[PADDING]))
    return linear(w, "head", jnp.tanh(table[words].mean(1)))


def _shared(biases, w, x):
    for bias in biases:
        x = jnp.tanh(x @ w["first.weight"].T + w[bias])
    return linear(w, "head", x)


def _checkpointing(w, x):
    layer = jax.checkpoint(lambda w, x: jnp.tanh(linear(w, "layer.0", x)))
    return linear(w, "head", layer(w, x))


BATCH = partial(_images, (0, 3), partial(_norm, (0, 1, 2)))
FORWARD = {
    "linear": _linear,
    "convolution": partial(_images, (0, 2), lambda w, name, x: x),
    "max_pool": partial(_images, (0, 3), lambda w, name, x: pool(x)),
    "batch_norm": BATCH,
    "running_batch_norm": BATCH,
    "layer_norm": partial(_images, (0, 3), partial(_norm, (1, 2, 3))),
    "instance_norm": partial(_images, (0, 3), partial(_norm, (1, 2))),
    "group_norm": partial(_images, (0, 3), partial(_norm, (1, 2, 3))),
    "attention": _attention,
    "lstm": _lstm,
    "embedding": _embedding,
    "shared": partial(_shared, ("first.bias", "first.bias")),
    "tied": partial(_shared, ("first.bias", "second.bias")),
    "checkpointing": _checkpointing,
}
