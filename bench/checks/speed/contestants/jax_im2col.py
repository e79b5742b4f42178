"""JAX: ``vmap`` over tasks, ``jit`` of the whole step, convolutions as matrix products."""

import re

ORDERS = (1, 2)
package = "jax"
WORKLOADS = ("omniglot", "student")  # at 84x84 the columns of a meta-batch take gigabytes


def build(workload, order, dtype):
    """See :mod:`bench.checks.speed.contestants`."""
    import jax

    jax.config.update("jax_enable_x64", dtype == "float64")
    import jax.numpy as jnp
    import numpy as np
    import optax

    weights = {n: jnp.asarray(v) for n, v in workload.weights(dtype).items()}
    batch = [jnp.asarray(v) for v in workload.batch(dtype)]
    layers = sorted(
        {n.rsplit(".", 1)[0] for n in weights if n.startswith("features")},
        key=lambda n: int(re.search(r"\d+", n)[0]),
    )

    def convolve(w, name, x):  # [rows, height, width, channels]
        kernel = w[f"{name}.weight"]
        stride = 1 if workload.pool else 2
        high, wide = (-(-n // stride) for n in x.shape[1:3])
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        shifts = [(i, j) for i in range(3) for j in range(3)]
        ends = stride * (high - 1) + 1, stride * (wide - 1) + 1
        windows = [x[:, i : i + ends[0] : stride, j : j + ends[1] : stride] for i, j in shifts]
        columns = jnp.concatenate(windows, -1)
        matrix = kernel.transpose(2, 3, 1, 0).reshape(-1, kernel.shape[0])
        return columns @ matrix + w[f"{name}.bias"]

    def forward(w, x):
        if not workload.images:
            for name in layers:
                x = jax.nn.relu(x @ w[f"{name}.weight"].T + w[f"{name}.bias"])
        else:
            x = x.transpose(0, 2, 3, 1)
            for conv, norm in zip(layers[::2], layers[1::2]):
                x = convolve(w, conv, x)
                mean = x.mean((0, 1, 2))
                variance = ((x - mean) ** 2).mean((0, 1, 2))
                x = (x - mean) * jax.lax.rsqrt(variance + 1e-5)
                x = jax.nn.relu(x * w[f"{norm}.weight"] + w[f"{norm}.bias"])
                if workload.pool:
                    rows, high, wide, channels = x.shape
                    x = x[:, : high // 2 * 2, : wide // 2 * 2]
                    x = x.reshape(rows, high // 2, 2, wide // 2, 2, channels).max((2, 4))
            x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
        return x @ w["head.weight"].T + w["head.bias"]

    def loss(w, x, y):
        outputs = forward(w, x)
        if workload.images:
            return optax.softmax_cross_entropy_with_integer_labels(outputs, y).mean()
        return optax.sigmoid_binary_cross_entropy(outputs[:, 0], y).mean()

    def task(w, sx, sy, qx, qy):
        for _ in range(workload.inner_steps):
            g = jax.grad(loss)(w, sx, sy)
            g = jax.lax.stop_gradient(g) if order == 1 else g
            w = jax.tree.map(lambda v, d: v - workload.inner_lr * d, w, g)
        return loss(w, qx, qy)

    def meta_loss(w, batch):
        return jax.vmap(task, (None, 0, 0, 0, 0))(w, *batch).mean()

    adam = optax.adam(1e-3)
    state = [weights, adam.init(weights)]

    @jax.jit
    def step(w, moments, batch):
        g = jax.grad(meta_loss)(w, batch)
        change, moments = adam.update(g, moments)
        return optax.apply_updates(w, change), moments

    def gradient():
        return {n: np.asarray(v) for n, v in jax.grad(meta_loss)(weights, batch).items()}

    def iteration():
        state[:] = jax.block_until_ready(step(*state, batch))

    return gradient, iteration
