"""Meta-SGD and Meta-Curvature: how an inner step is made is learned."""

import pytest
import torch

from bench.algorithms.maml import MAML
from bench.algorithms.meta_curvature import MetaCurvature
from bench.algorithms.meta_sgd import MetaSGD
from bench.tasks.episode import Episode, TaskSpec

STEPS, RATE = 2, 0.1
LINE = TaskSpec("regression", (3,), 2)


def by_rates(learner, name, gradient):
    return learner.get_parameter("rates." + name.replace(".", ":")) * gradient


def by_matrices(learner, name, gradient):
    """Written out index by index."""
    o, *others = (
        learner.get_parameter(f"curvature.{name.replace('.', ':')}:{axis}")
        for axis in range(min(gradient.dim(), 3))
    )
    if not others:
        return RATE * o * gradient
    if len(others) == 1:
        return RATE * torch.einsum("ao,bi,oi->ab", o, *others, gradient)
    i, f = others
    flat = gradient.reshape(*gradient.shape[:2], -1)
    return RATE * torch.einsum("ao,bi,cf,oif->abc", o, i, f, flat).reshape(gradient.shape)


STEP = {MetaSGD: by_rates, MetaCurvature: by_matrices}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("kind", ["images", "vectors"])
@pytest.mark.parametrize("cls", STEP)
def test_meta_gradient_equals_a_plain_loop(equals_a_plain_loop, cls, kind, order):
    def task_loss(task, theta, learner):
        phi = dict(theta)
        for _ in range(STEPS):
            gradients = task.gradients(phi, order)
            phi = {n: v - STEP[cls](learner, n, gradients[n]) for n, v in phi.items()}
        return task.loss(phi, task.query)

    equals_a_plain_loop(cls, kind, task_loss, order=order, inner_lr=RATE, inner_steps=STEPS)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("cls", STEP)
def test_what_is_learned_beside_the_network_learns_in_both_orders(tasks, cls, order):
    learner, episode, _ = tasks(cls, "images", order=order)
    beside = [p for n, p in learner.named_parameters() if not n.startswith("net.")]
    assert beside
    learner.loss(episode).mean().backward()
    assert sum(p.grad.abs().sum() for p in beside) > 0


def made(cls, spec=LINE, **options):
    learner = cls(spec=spec, **options)
    learner.configure_model()
    return learner


def test_meta_curvature_starts_as_maml(double):
    x, y = torch.randn(2, 2, 5, 3), torch.randn(2, 2, 5, 2)
    episode = Episode(x[0], y[0], x[1], y[1])
    maml, curved = (made(cls, inner_steps=2).predict(episode) for cls in (MAML, MetaCurvature))
    torch.testing.assert_close(curved, maml)


def numbers(parameters):
    return torch.cat([p.detach().flatten() for p in parameters])


def test_rates_are_drawn_in_their_range_from_the_seed():
    def rates(**options):
        return numbers(made(MetaSGD, **options).rates.values())

    first = rates()
    assert first.min() >= 0.005
    assert first.max() <= 0.1
    assert 0.045 < first.mean() < 0.06
    assert torch.equal(rates(), first)
    assert not torch.equal(rates(seed=1), first)
    torch.testing.assert_close(rates(inner_lr=0.2), 2 * first)
    weights = numbers(made(MetaSGD).net.parameters())
    assert abs(torch.corrcoef(torch.stack([first, weights]))[0, 1]) < 0.1  # drawn anew


def test_only_what_adapts_has_rates(tasks):
    learner = made(MetaSGD, TaskSpec("answers", (4,), 1, items=9), model="irt")
    assert {n for n in learner.state_dict() if n.startswith("rates.")} == {"rates.ability"}
    learner, episode, _ = tasks(MetaSGD, "images", head="prototypes")
    learner.loss(episode).mean().backward()
    assert learner.rates["head.weight"].grad.abs().sum() > 0
