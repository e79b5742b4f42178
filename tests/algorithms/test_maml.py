"""MAML's predictor for a user's own few examples."""

import numpy as np
import pytest
import torch
from torch import nn

from bench.algorithms.fomaml import FOMAML
from bench.algorithms.maml import MAML
from bench.base.errors import BenchError
from bench.tasks.episode import Episode, TaskSpec

IMAGES = TaskSpec("classification", (1, 8, 8), 3)
STUDENT = TaskSpec("answers", (2,), 1, items=9)
LINE = TaskSpec("regression", (1,), 1)


def maml(spec, **options):
    small = {"filters": 4} if spec is IMAGES else {}
    model = MAML(spec=spec, inner_steps=2, model_options=small, **options)
    model.configure_model()
    return model


def rows(spec, n=6):
    torch.manual_seed(0)
    if spec is IMAGES:
        return torch.randn(n, 1, 8, 8), torch.arange(n) % 3
    if spec is STUDENT:
        return torch.arange(float(n))[:, None].expand(n, 2), torch.arange(n) % 2
    return torch.randn(n, 1), torch.randn(n, 1)


@pytest.mark.parametrize("mode", ["transductive", "support"])
@pytest.mark.parametrize("spec", [IMAGES, STUDENT, LINE])
def test_adapt_is_what_an_episode_gives(spec, mode):
    model = maml(spec, batch_norm=mode, test_steps=3)
    x, y = rows(spec)
    query, _ = rows(spec, 4)
    episode = Episode(x[None], y[None], query[None], y[None, :4])
    wanted = model.objective.probabilities(model.predict(episode)[0, -1])
    got = model.adapt(x, y)(query)
    torch.testing.assert_close(got, wanted.detach())
    assert got.shape == (4, spec.outputs)
    assert not got.requires_grad
    unadapted = model.objective.probabilities(model.predict(episode)[0, 0])
    assert (got - unadapted).abs().max() > 1e-4


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_adapt_works_wherever_it_is_called(context):
    x, y = rows(IMAGES)
    wanted = maml(IMAGES).adapt(x, y)(x)
    with context():
        model = MAML(spec=IMAGES, inner_steps=2, model_options={"filters": 4})
        got = model.adapt(x + 0, y + 0)(x + 0)  # new tensors, of inference mode where it is on
    torch.testing.assert_close(got, wanted)
    model.loss(Episode(x[None], y[None], x[None], y[None])).mean().backward()  # and can learn


def test_predict_works_without_gradients():
    model = maml(IMAGES)
    x, y = rows(IMAGES)
    episode = Episode(x[None], y[None], x[None], y[None])
    wanted = model.predict(episode)
    with torch.no_grad():
        torch.testing.assert_close(model.predict(episode), wanted)
        torch.testing.assert_close(model.loss(episode), model.loss(episode).detach())


def test_a_network_built_in_inference_mode_can_learn():
    with torch.inference_mode():
        model = maml(LINE)
    x, y = rows(LINE)
    model.loss(Episode(x[None], y[None], x[None], y[None])).mean().backward()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adapt_takes_arrays_and_lists(dtype):
    x, y = rows(IMAGES)
    wanted = maml(IMAGES).adapt(x, y)(x)
    predictor = maml(IMAGES).adapt(x.numpy().astype(dtype), y.tolist())
    torch.testing.assert_close(predictor(x.numpy().astype(dtype)), wanted)
    x, y = rows(LINE)
    double = MAML(model=nn.Linear(1, 1).double(), spec=LINE).adapt(x, y)
    assert double(x).dtype == torch.float64


def test_adapt_leaves_the_model_and_other_predictors_alone():
    model = maml(IMAGES)
    before = {n: p.detach().clone() for n, p in model.net.named_parameters()}
    x, y = rows(IMAGES)
    first = model.adapt(x, y)
    wanted = first(x)
    second = model.adapt(x, 2 - y)
    assert (second(x) - wanted).abs().max() > 1e-3
    assert torch.equal(first(x), wanted)
    for n, p in model.net.named_parameters():
        assert torch.equal(p, before[n])
        assert p.grad is None


@pytest.mark.parametrize(
    ("spec", "change", "words"),
    [
        (IMAGES, lambda x, y: (x[:, 0], y), "support_x has the shape"),
        (IMAGES, lambda x, y: (x[:0], y[:0]), "one row or more"),
        (IMAGES, lambda x, y: (x, y[:-1]), "support_y has the shape"),
        (IMAGES, lambda x, y: (x, y + 1), "from 0 to 2"),
        (IMAGES, lambda x, y: (x, y - 1), "from 0 to 2"),
        (IMAGES, lambda x, y: (x, y + 0.5), "whole numbers"),
        (IMAGES, lambda x, y: ((255 * x).to(torch.uint8), y), "floating-point"),
        (STUDENT, lambda x, y: (x + 9, y), "item numbers up to 8"),
        (STUDENT, lambda x, y: (x, y * 2), "from 0 to 1"),
        (LINE, lambda x, y: (x, y[:, 0]), r"these rows need \(6, 1\)"),
    ],
)
def test_adapt_says_what_is_wrong(spec, change, words):
    with pytest.raises(BenchError, match=words):
        maml(spec).adapt(*change(*rows(spec)))


def test_predictor_says_what_is_wrong():
    predictor = maml(IMAGES).adapt(*rows(IMAGES))
    with pytest.raises(BenchError, match="query_x has the shape"):
        predictor(torch.zeros(1, 8, 8))


def test_adapt_needs_to_know_the_tasks():
    with pytest.raises(BenchError, match="spec="):
        MAML().adapt(*rows(LINE))


def test_fomaml_is_order_1():
    assert FOMAML().hparams["order"] == MAML(order=1).hparams["order"] == 1
    x, y = rows(LINE)
    episode = Episode(x[None], y[None], x[None] + 1, y[None])
    gradients = []
    for cls, options in ((FOMAML, {}), (MAML, {"order": 1}), (MAML, {"order": 2})):
        model = cls(spec=LINE, inner_steps=3, **options)
        model.configure_model()
        loss = model.loss(episode).mean()
        gradients.append(torch.autograd.grad(loss, list(model.net.parameters())))
    first, same, second = (torch.cat([g.flatten() for g in gs]) for gs in gradients)
    assert torch.equal(first, same)
    assert not torch.allclose(first, second)
