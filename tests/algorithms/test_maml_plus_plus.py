"""MAML++: each switch against a loop written out plainly, alone and with the others."""

import pytest
import torch

from bench.algorithms.maml import MAML
from bench.algorithms.maml_plus_plus import MAMLPlusPlus
from bench.base.errors import BenchError
from bench.tasks.episode import TaskSpec

STEPS, RATE = 3, 0.1
OFF = {
    "multi_step_share": 0.0,
    "learn_rates": False,
    "first_order_share": 0.0,
    "per_step_batch_norm": False,
    "outer_schedule": "constant",
}
SWITCHES = {
    "none": {},
    "multi-step loss": {"multi_step_share": 0.5},
    "learned rates": {"learn_rates": True},
    "order annealing": {"first_order_share": 0.2},
    "batch norm": {"per_step_batch_norm": True},
    "all": {
        "multi_step_share": 0.5,
        "learn_rates": True,
        "first_order_share": 0.2,
        "per_step_batch_norm": True,
    },
}


def at(progress):
    """MAML++ when a share of the training is done."""
    return type("MAMLPlusPlus", (MAMLPlusPlus,), {"progress": progress})


def parameter(learner, group, name):
    return learner.get_parameter(f"{group}.{name.replace('.', ':')}")


def plain(order, progress, options):
    """The whole of it for one task, step by step."""
    options = OFF | options

    def task_loss(task, theta, learner):
        inner_order = 1 if progress < options["first_order_share"] else order
        share = options["multi_step_share"]
        other = max(1 - progress / share, 0.03) / STEPS if progress < share else 0.0
        norms = []
        if options["per_step_batch_norm"]:
            norms = [n for n, _ in learner.net.named_parameters() if n not in theta]
        phi, total = dict(theta), 0
        for step in range(STEPS):
            norm = {n: parameter(learner, "norms", n)[step] for n in norms}
            loss = task.loss(phi | norm, task.support)
            gradients = torch.autograd.grad(loss, list(phi.values()), create_graph=True)
            moved = {}
            for (n, v), g in zip(phi.items(), gradients):
                learns = options["learn_rates"]
                rate = parameter(learner, "rates", n)[step] if learns else RATE
                moved[n] = v - rate * (g if inner_order == 2 else g.detach())
            phi = moved
            weight = other if step < STEPS - 1 else 1 - (STEPS - 1) * other
            total = total + weight * task.loss(phi | norm, task.query)
        return total

    return task_loss


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    ("switch", "progress"),
    [(n, 0.3) for n in SWITCHES]
    + [(n, 0.1) for n in ("multi-step loss", "order annealing", "all")],
)
def test_meta_gradient_equals_a_plain_loop(equals_a_plain_loop, switch, progress, order):
    options = OFF | SWITCHES[switch]
    for kind in ("images", "vectors") if switch == "all" else ("images",):
        loss = plain(order, progress, options)
        equals_a_plain_loop(
            at(progress), kind, loss, order=order, inner_lr=RATE, inner_steps=STEPS, **options
        )


def test_all_switched_off_is_maml(tasks):
    options = {"inner_lr": RATE, "inner_steps": STEPS, "test_steps": 5}
    plus, episode, _ = tasks(MAMLPlusPlus, "images", **OFF, **options)
    maml, *_ = tasks(MAML, "images", **options)
    assert torch.equal(plus.loss(episode), maml.loss(episode))
    assert torch.equal(plus.predict(episode), maml.predict(episode))


def test_the_weight_of_earlier_steps_falls():
    weights = [at(p)(multi_step_share=0.5).loss_weights() for p in (0.0, 0.25, 0.49, 0.5, 1.0)]
    assert weights[0] == pytest.approx([0, 0.2, 0.2, 0.2, 0.2, 0.2])
    assert weights[1] == pytest.approx([0, 0.1, 0.1, 0.1, 0.1, 0.6])
    assert weights[2] == pytest.approx([0, 0.006, 0.006, 0.006, 0.006, 0.976])
    assert weights[3] == weights[4] == [0, 0, 0, 0, 0, 1]


def test_more_steps_at_test_than_in_training_go_on_as_the_last(tasks):
    learner, episode, _ = tasks(MAMLPlusPlus, "images", inner_steps=2, test_steps=4)
    outputs = learner.predict(episode)
    assert outputs.shape[1] == 5
    assert (outputs[:, 4] - outputs[:, 2]).abs().max() > 1e-3
    with torch.no_grad():
        for group in (learner.rates, learner.norms):
            for p in group.values():
                p[0] += 0.1  # of the first step, which comes before all
    assert (learner.predict(episode)[:, 1] - outputs[:, 1]).abs().max() > 1e-3


def test_batch_norm_does_not_adapt_and_is_learned_for_each_step(tasks):
    learner, episode, _ = tasks(at(0.0), "images", inner_steps=3)
    assert learner.norms.names
    assert not any(learner.net.get_parameter(n).requires_grad for n in learner.norms.names)
    learner.loss(episode).mean().backward()
    assert all((p.grad.abs().sum(1) > 0).all() for p in learner.norms.values())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"inner_steps": 0}, "inner_steps=0"),
        ({"multi_step_share": 1.5}, "multi_step_share=1.5: give a number from 0 to 1"),
        ({"first_order_share": -1.0}, "first_order_share=-1.0"),
        ({"engine": "recorded"}, "go on with the loss of the first iteration"),
    ],
)
def test_impossible_options_are_named(options, words):
    with pytest.raises(BenchError, match=words):
        MAMLPlusPlus(spec=TaskSpec("regression", (1,), 1), **options)


def test_without_annealing_it_can_be_recorded(tasks):
    options = {"multi_step_share": 0.0, "first_order_share": 0.0}
    found = []
    for engine in ("batched", "recorded"):
        learner, episode, _ = tasks(MAMLPlusPlus, "vectors", engine=engine, **options)
        found.append(learner.meta_step(episode))
        found[-1].backward()
    torch.testing.assert_close(*found)
