"""Holds methods to loops over tasks written out plainly, which know nothing of the suite."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from bench.base import registry
from bench.learning.batch_norm import SupportBatchNorm
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


# Methods that do not adapt by gradient -----------------------------------------------------------

IMAGES = TaskSpec("classification", (2, 8, 8), 3)
VECTORS = TaskSpec("regression", (4,), 2)
STUDENTS = TaskSpec("answers", (4,), 1, items=7, skills=2)


def embed_by_hand(features, x, rows):
    """Layer by layer, batch norm by the mean and variance of the first rows."""
    for layer in features:
        if isinstance(layer, nn.BatchNorm2d | SupportBatchNorm):
            given = x[:rows]
            mean = given.mean((0, 2, 3), keepdim=True)
            variance = ((given - mean) ** 2).mean((0, 2, 3), keepdim=True)
            x = (x - mean) / (variance + layer.eps).sqrt()
            x = x * layer.weight[:, None, None] + layer.bias[:, None, None]
        else:
            x = layer(x)
    return x


def support_and_query(learner, support_x, query_x):
    """The embedded rows of one task."""
    features = learner.net.features
    if learner.hparams["batch_norm"] == "support":
        both = embed_by_hand(features, torch.cat([support_x, query_x]), len(support_x))
        return both[: len(support_x)], both[len(support_x) :]
    return tuple(embed_by_hand(features, x, len(x)) for x in (support_x, query_x))


def loss_by_hand(kind, outputs, y):
    """Mean loss of the query of one task."""
    if kind == "classification":
        return -outputs.log_softmax(1)[range(len(y)), y].mean()
    if kind == "regression":
        return ((outputs - y) ** 2).mean()
    p = outputs[:, 0].sigmoid()
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


@pytest.fixture
def by_hand():
    """Embeds the rows of one task: ``by_hand(learner, support_x, query_x)``."""
    return support_and_query


@pytest.fixture
def images():
    """Three classes, two support images and two queries of each: ``images(tasks=3)``."""

    def draw(tasks=3, seed=0):
        made = torch.Generator().manual_seed(seed)
        y = torch.arange(3).repeat(2).expand(tasks, -1)
        x = [torch.randn(tasks, 6, *IMAGES.input_shape, generator=made) for _ in range(2)]
        return Episode(x[0], y, x[1], y.flip(1), index=torch.arange(tasks))

    return draw


@pytest.fixture
def vectors():
    """Regression of two numbers from four."""
    made = torch.Generator().manual_seed(0)
    x = [torch.randn(3, rows, 4, generator=made) for rows in (6, 5)]
    y = [torch.randn(3, rows, 2, generator=made) for rows in (6, 5)]
    return Episode(x[0], y[0], x[1], y[1], index=torch.arange(3))


@pytest.fixture
def students():
    """Questions of two skills and their answers."""
    made = torch.Generator().manual_seed(0)
    parts = []
    for rows in (6, 5):
        item = torch.randint(7, (3, rows, 1), generator=made)
        position = torch.rand(3, rows, generator=made).argsort(1)[..., None]
        skills = torch.randint(2, (3, rows, 2), generator=made)
        parts += [torch.cat([item, position, skills], -1).double()]
        parts += [torch.randint(2, (3, rows), generator=made).double()]
    return Episode(*parts, index=torch.arange(3))


@pytest.fixture
def make(moved):
    """A method by name with a small network and random weights: ``make("proto_net")``."""

    def made(name, spec=IMAGES, **options):
        if len(spec.input_shape) == 3:
            options = {"model_options": {"filters": 4}} | options
        return moved(registry.create("algorithms", name, spec=spec, **options), 0.1)

    return made


@pytest.fixture
def exact(make):
    """Holds the meta-gradient of a method to that of ``reference(learner, task)``, task by task.

    The reference is given what :func:`support_and_query` embeds, and the targets of the support.
    It returns the outputs of the query.
    """

    def check(name, reference, episode, spec=IMAGES, **options):
        for engine in ("loop", "batched"):
            learner = make(name, spec, engine=engine, **options)
            learned = [p for p in learner.parameters() if p.requires_grad]
            losses = []
            for sx, sy, qx, qy in zip(*episode[:4]):
                outputs = reference(learner, *support_and_query(learner, sx, qx), sy)
                losses.append(loss_by_hand(spec.kind, outputs, qy))
            wanted = torch.stack(losses).mean()
            gradients = torch.autograd.grad(wanted, learned)
            loss = learner.meta_step(episode)
            assert loss.item() == pytest.approx(wanted.item(), rel=1e-12)
            a, b = (
                torch.cat([g.flatten() for g in gs])
                for gs in (torch.autograd.grad(loss, learned), gradients)
            )
            assert (a - b).norm() <= 1e-10 * b.norm(), engine

    return check
