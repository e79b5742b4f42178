"""CAVIA: context parameters adapt from zero; and the network that has them."""

import pytest
import torch
from torch import nn

from bench.algorithms.cavia import CAVIA
from bench.base.errors import BenchError
from bench.models.film import FiLM
from bench.tasks.episode import TaskSpec

STEPS, RATE = 2, 1.0
FILM = {
    "images": {"model": "film", "model_options": {"filters": 3, "context": 4}},
    "vectors": {"model": "film", "model_options": {"hidden": (6, 5)}},
}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("kind", FILM)
def test_meta_gradient_equals_a_plain_loop(equals_a_plain_loop, kind, order):
    def task_loss(task, theta, learner):
        ((name, context),) = [
            (n, p) for n, p in learner.net.named_parameters() if n.endswith("context")
        ]
        assert name not in theta
        phi = {name: torch.zeros_like(context, requires_grad=True)}
        for _ in range(STEPS):
            gradients = task.gradients(phi, order)
            phi = {name: phi[name] - RATE * gradients[name]}
        return task.loss(phi, task.query)

    equals_a_plain_loop(
        CAVIA, kind, task_loss, order=order, inner_lr=RATE, inner_steps=STEPS, **FILM[kind]
    )


def test_every_parameter_but_the_context_is_learned_by_second_order(tasks):
    learner, episode, _ = tasks(CAVIA, "images", order=2, **FILM["images"])
    learner.loss(episode).mean().backward()
    for name, p in learner.net.named_parameters():
        assert name.endswith("context") == (p.grad is None)
    assert learner.net.features[8].linear.weight.grad.abs().sum() > 0


def test_the_context_starts_at_zero_whatever_it_was(tasks):
    learner, episode, _ = tasks(CAVIA, "vectors", **FILM["vectors"])
    before = learner.predict(episode)
    with torch.no_grad():
        learner.net.get_parameter(learner.context[0]).fill_(3.0)
    assert torch.equal(learner.predict(episode), before)


def test_a_context_of_zero_is_the_network_without():
    spec = TaskSpec("classification", (1, 16, 16), 3)
    net, x = FiLM(spec, filters=4), torch.randn(5, 1, 16, 16)
    plain = nn.Sequential(*[layer for i, layer in enumerate(net.features) if i != 8], net.head)
    assert type(net.features[8]).__name__ == "Modulation"
    assert isinstance(net.features[7], nn.BatchNorm2d)
    torch.testing.assert_close(net(x), plain(x))
    with torch.no_grad():
        net.features[8].context += 1
    assert (net(x) - plain(x)).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("spec", "options", "sizes"),
    [
        (TaskSpec("classification", (3, 84, 84), 5), {}, (100, 128)),
        (TaskSpec("regression", (1,), 1), {}, (5, 80)),
        (TaskSpec("answers", (4,), 1, items=9), {"context": 2, "hidden": (6,)}, (2, 12)),
    ],
)
def test_sizes_are_the_papers(spec, options, sizes):
    net = FiLM(spec, **options)
    (place,) = net.adapts
    assert net.get_parameter(place).shape == sizes[:1]
    linear = net.get_submodule(place.replace("context", "linear"))
    assert linear.weight.shape == sizes[::-1]


def test_students_with_irt_adapt_their_ability_alone(double):
    learner = CAVIA(model="irt", spec=TaskSpec("answers", (4,), 1, items=9))
    learner.configure_model()
    assert learner.context == ["ability"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "mlp"}, "CAVIA needs a network with .adapts.*model='film'; MLP has none"),
        ({"model_options": {"context": 0}}, "context=0"),
        ({"model_options": {"hidden": ()}}, "film needs a hidden layer"),
        ({"model_options": {"filters": 4}}, "mlp has no argument 'filters'"),
    ],
)
def test_what_cannot_be_is_named(options, words):
    with pytest.raises(BenchError, match=words):
        CAVIA(spec=TaskSpec("regression", (1,), 1), **options).configure_model()
