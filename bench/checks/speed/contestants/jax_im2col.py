"""JAX: ``vmap`` over tasks, ``jit`` of the whole step, convolutions as matrix products."""

ORDERS = (1, 2)
package = "jax"
WORKLOADS = ("omniglot", "student")  # at 84x84 the columns of a meta-batch take gigabytes


def build(workload, order, dtype):
    """See :mod:`bench.checks.speed.contestants`."""
    import jax

    jax.config.update("jax_enable_x64", dtype == "float64")
    jax.config.update("jax_platforms", workload.device)
    jax.config.update("jax_default_matmul_precision", "highest")
    import jax.numpy as jnp
    import numpy as np
    import optax

    weights = {n: jnp.asarray(v) for n, v in workload.weights(dtype).items()}
    batch = [jnp.asarray(v) for v in workload.batch(dtype)]

    forward = workload.jax_network()

    def loss(w, x, y):
        outputs = forward(w, x)
        if workload.kind == "classification":
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
        return {n: np.asarray(v) for n, v in jax.jit(jax.grad(meta_loss))(weights, batch).items()}

    def iteration():
        state[:] = jax.block_until_ready(step(*state, batch))

    return gradient, iteration
