"""What is needed to hold a method that does not adapt by gradient to a plain loop over tasks."""

import pytest
import torch
from torch import nn

from bench.base import registry
from bench.learning.batch_norm import SupportBatchNorm
from bench.tasks.episode import Episode, TaskSpec

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
def make():
    """A method by name with a small network and random weights: ``make("proto_net")``."""

    def made(name, spec=IMAGES, **options):
        if len(spec.input_shape) == 3:
            options = {"model_options": {"filters": 4}} | options
        learner = registry.create("algorithms", name, spec=spec, **options)
        learner.configure_model()
        noise = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for p in learner.parameters():
                p += 0.1 * torch.randn(p.shape, generator=noise)
        return learner

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
