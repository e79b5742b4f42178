"""What is timed: networks, tasks and their sizes, as plain numbers that every library can load."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Workload:
    """A network and a meta-batch.

    Attributes:
        name: its name on the command line.
        about: one line for the table.
        input_shape: of one example.
        outputs: classes, or 1 for a right or wrong answer.
        widths: filters of the convolutions, or widths of the hidden layers.
        pool: 2x2 max-pooling after convolutions of stride 1, instead of stride 2.
        support: support rows of a task.
        query: query rows of a task.
        tasks: tasks of a meta-batch.
        inner_steps: gradient steps on the support set.
        inner_lr: their size.
        accelerator: what computes it, ``"cpu"`` or ``"gpu"``.
    """

    name: str
    about: str
    input_shape: tuple[int, ...]
    outputs: int
    widths: tuple[int, ...]
    support: int
    query: int
    tasks: int
    inner_steps: int = 5
    pool: bool = False
    inner_lr: float = 0.1
    accelerator: str = "cpu"

    @property
    def device(self) -> str:
        """Of the tensors, as torch names it."""
        return {"cpu": "cpu", "gpu": "cuda"}[self.accelerator]

    @property
    def images(self) -> bool:
        """Whether it is convolutions on images, otherwise linear layers on vectors."""
        return len(self.input_shape) == 3

    @property
    def kind(self) -> str:
        """Of its tasks."""
        return "classification" if self.images else "answers"

    def network(self):
        """The suite's own network, in PyTorch."""
        from bench.models.conv4 import Conv4
        from bench.models.mlp import MLP
        from bench.tasks.episode import TaskSpec

        spec = TaskSpec(self.kind, self.input_shape, self.outputs)
        if self.images:
            return Conv4(spec, self.widths[0], "max_pool" if self.pool else "stride")
        return MLP(spec, self.widths)

    def jax_network(self):
        """The same in JAX, as a function of weights and inputs."""
        from bench.checks.speed import jax_parts

        return jax_parts.forward(self)

    def weights(self, dtype: str) -> dict[str, np.ndarray]:
        """Initial weights by the names they have in the suite's own networks."""
        random, made = np.random.default_rng(0), {}

        def add(name: str, *shape: int) -> None:
            scale = np.sqrt(2 / np.prod(shape[1:]))
            made[f"{name}.weight"] = random.normal(0, scale, shape).astype(dtype)
            made[f"{name}.bias"] = random.normal(0, 0.1, shape[0]).astype(dtype)

        if not self.images:
            before = self.input_shape[0]
            for i, width in enumerate(self.widths):
                add(f"features.{1 + 2 * i}", width, before)
                before = width
            add("head", self.outputs, before)
            return made
        before, side = self.input_shape[0], self.input_shape[1]
        for i, width in enumerate(self.widths):
            first = i * (4 if self.pool else 3)
            add(f"features.{first}", width, before, 3, 3)
            norm = f"features.{first + 1}"
            made[f"{norm}.weight"] = random.uniform(0.5, 1.5, width).astype(dtype)
            made[f"{norm}.bias"] = random.normal(0, 0.1, width).astype(dtype)
            before, side = width, side // 2 if self.pool else (side + 1) // 2
        add("head", self.outputs, before * side * side)
        return made

    def batch(self, dtype: str) -> list[np.ndarray]:
        """Support inputs and targets, query inputs and targets, each ``[tasks, rows, ...]``."""
        random, fields = np.random.default_rng(1), []
        for rows in (self.support, self.query):
            fields.append(random.normal(size=(self.tasks, rows, *self.input_shape)).astype(dtype))
            if self.images:
                fields.append(np.tile(np.arange(rows) % self.outputs, (self.tasks, 1)))
            else:
                fields.append(random.integers(2, size=(self.tasks, rows)).astype(dtype))
        return fields


WORKLOADS = {
    w.name: w
    for w in (
        Workload(
            "omniglot", "conv4-64, 28x28, 5-way 1-shot, 15 queries a class", (1, 28, 28), 5,
            (64,) * 4, 5, 75, 4,
        ),
        Workload(
            "mini", "conv4-32, 84x84, max-pooling, 5-way 1-shot, 15 queries a class", (3, 84, 84),
            5, (32,) * 4, 5, 75, 4, pool=True, inner_lr=0.01,
        ),
        Workload(
            "student", "MLP 64-64-1 on 64 features, 10 answers, 40 queries", (64,), 1, (64, 64),
            10, 40, 32,
        ),
    )
}  # fmt: skip
