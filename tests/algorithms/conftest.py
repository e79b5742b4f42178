"""Holds meta-gradients to loops written out plainly, which know nothing of the suite."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from bench.tasks.episode import Episode, TaskSpec

KINDS = {  # spec, model and its options
    "images": (TaskSpec("classification", (2, 9, 9), 3), "conv4", {"filters": 3}),
    "vectors": (TaskSpec("regression", (3,), 2), "mlp", {"hidden": (6, 5)}),
}
TASKS, SUPPORT, QUERY = 3, 6, 5


@dataclass
class Task:
    """One task for a plain loop: its network, and the rows of its two sets."""

    net: nn.Module
    kind: str
    support: tuple[Tensor, Tensor]
    query: tuple[Tensor, Tensor]

    def loss(self, phi, rows):
        """Mean loss of rows ``(x, y)`` with the parameters ``phi``, the others being shared."""
        x, y = rows
        outputs = functional_call(self.net, phi, (x,))
        return F.mse_loss(outputs, y) if self.kind == "vectors" else F.cross_entropy(outputs, y)

    def gradients(self, phi, order, rows=None):
        """The support loss's gradient by ``phi``; of order 1, a constant."""
        loss = self.loss(phi, rows or self.support)
        found = torch.autograd.grad(loss, list(phi.values()), create_graph=True)
        return dict(zip(phi, found if order == 2 else [g.detach() for g in found]))


def draw(kind):
    """A batch of random tasks."""
    spec, made = KINDS[kind][0], torch.Generator().manual_seed(2)

    def part(rows):
        x = torch.randn(TASKS, rows, *spec.input_shape, generator=made)
        if spec.kind == "regression":
            return x, torch.randn(TASKS, rows, spec.outputs, generator=made)
        return x, torch.rand(TASKS, rows, generator=made).argsort(1) % spec.outputs  # every class

    return Episode(*part(SUPPORT), *part(QUERY), index=torch.arange(TASKS))


def built(cls, kind, **options):
    """A learner whose parameters are all a little off where they start."""
    spec, model, model_options = KINDS[kind]
    learner = cls(spec=spec, **{"model": model, "model_options": model_options} | options)
    learner.configure_model()
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in learner.parameters():
            p += 0.1 * torch.randn(p.shape, generator=noise)
    return learner


def tasks_of(learner, kind, episode):
    """The tasks of a batch, one after the other."""
    for sx, sy, qx, qy in zip(*episode[:4]):
        yield Task(learner.net, kind, (sx, sy), (qx, qy))


@pytest.fixture
def tasks(double):
    """Learners and tasks in float64: ``tasks(MAML, "images", order=1)``, learner, batch, list."""

    def make(cls, kind, **options):
        learner, episode = built(cls, kind, **options), draw(kind)
        return learner, episode, list(tasks_of(learner, kind, episode))

    return make


@pytest.fixture
def equals_a_plain_loop(tasks):
    """Holds every engine that an algorithm allows to a plain loop, to 1e-10 in float64.

    ``equals_a_plain_loop(MAML, "images", task_loss, order=1)``, where ``task_loss(task, theta,
    learner)`` is the meta-objective of one task; ``theta`` are the network's parameters that learn,
    by name.
    """

    def run(cls, kind, task_loss, **options):
        engines = ["loop", "batched"]
        if vars(cls).get("recordable") and (kind == "vectors" or cls.kinds):  # convolutions: slow
            engines.append("recorded")
        for engine in engines:
            learner, episode, plain = tasks(cls, kind, engine=engine, **options)
            theta = {n: p for n, p in learner.net.named_parameters() if p.requires_grad}
            learned = [p for p in learner.parameters() if p.requires_grad]
            wanted = torch.stack([task_loss(task, theta, learner) for task in plain]).mean()
            gradient = torch.autograd.grad(wanted, learned, allow_unused=True)
            loss = learner.meta_step(episode)
            loss.backward()
            assert loss.item() == pytest.approx(wanted.item(), rel=1e-12), engine
            found, wanted = (
                torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in pairs])
                for pairs in ([(p, p.grad) for p in learned], list(zip(learned, gradient)))
            )
            assert wanted.norm() > 1e-4
            assert (found - wanted).norm() <= 1e-10 * wanted.norm(), engine

    return run
