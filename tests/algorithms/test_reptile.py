"""Reptile against its published loop: torch's Adam on a copy of the network, task after task."""

import copy

import pytest
import torch
from torch import nn

from bench.algorithms.reptile import Reptile
from bench.base.errors import BenchError
from bench.tasks.episode import TaskSpec

STEPS, RATE, BATCH, EPS = 7, 0.01, 4, 0.3
BIASES = [f"features.{layer}.bias" for layer in (0, 3, 6, 9)]  # of convolutions
SETTING = {"inner_lr": RATE, "inner_steps": STEPS, "inner_batch": BATCH, "outer_lr": EPS}


def minibatches(rows):
    """Each pass deals the rows out anew."""
    found, number = [], 0
    while len(found) < STEPS:
        order = torch.randperm(rows, generator=torch.Generator().manual_seed(number))
        found += order.tensor_split(-(-rows // BATCH))
        number += 1
    return found[:STEPS]


def trained(task):
    """A copy of the network after some steps of Adam on the rows of both sets."""
    net = copy.deepcopy(task.net)
    x, y = (torch.cat(pair) for pair in zip(task.support, task.query))
    adam = torch.optim.Adam(net.parameters(), lr=RATE, betas=(0.0, 0.999))
    for rows in minibatches(len(y)):
        adam.zero_grad()
        task.loss(dict(net.named_parameters()), (x[rows], y[rows])).backward()
        adam.step()
    return net, task.loss(dict(net.named_parameters()), (x, y))


@pytest.mark.parametrize("engine", ["loop", "batched"])
@pytest.mark.parametrize("kind", ["images", "vectors"])
def test_an_outer_step_is_that_of_the_published_loop(tasks, kind, engine):
    learner, episode, plain = tasks(Reptile, kind, engine=engine, **SETTING)
    old = {n: p.detach().clone() for n, p in learner.net.named_parameters()}
    new, losses = zip(*map(trained, plain))
    mean = {n: torch.stack([net.get_parameter(n) for net in new]).mean(0) for n in old}
    wanted = {n: v + EPS * (mean[n] - v) for n, v in old.items()}
    optimizer = learner.optimizer(list(learner.parameters()))
    loss = learner.meta_step(episode)
    loss.backward()
    optimizer.step()
    assert loss.item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-10)
    off = {n: learner.net.get_parameter(n) - v for n, v in wanted.items()}
    # a bias before batch norm has no gradient but rounding, which Adam divides by its own size
    for n in [n for n in off if kind == "images" and n in BIASES]:
        assert off.pop(n).abs().max() < 1e-8
    moved = torch.cat([(wanted[n] - old[n]).flatten() for n in off]).norm()
    assert torch.cat([v.flatten() for v in off.values()]).norm() < 1e-10 * moved


def test_at_test_it_adapts_to_the_support_set_alone(tasks):
    learner, episode, _ = tasks(Reptile, "vectors", test_steps=4, **SETTING)
    outputs = learner.predict(episode)
    assert outputs.shape[1] == 5
    other = episode._replace(query_y=episode.query_y + 1)
    assert torch.equal(learner.predict(other), outputs)
    again = learner.predict(episode)
    assert torch.equal(again, outputs)  # Adam's state starts anew


def test_every_row_is_in_one_minibatch_of_a_pass(tasks):
    learner, episode, _ = tasks(Reptile, "vectors", inner_batch=4)
    episode = episode._replace(support_w=torch.ones(3, 6))
    for first in (0, 2):
        parts = [learner.minibatch(episode, first + k) for k in range(2)]
        assert [p.support_y.shape[1] for p in parts] == [3, 3]
        rows = torch.cat([p.support_x for p in parts], 1)
        assert torch.equal(rows.sort(1)[0], episode.support_x.sort(1)[0])
        assert parts[0].support_w.shape == (3, 3)
    assert not torch.equal(
        learner.minibatch(episode, 0).support_x, learner.minibatch(episode, 2).support_x
    )


def test_rows_of_weight_zero_do_not_count(tasks):
    learner, episode, _ = tasks(Reptile, "vectors", inner_batch=99, inner_lr=RATE)
    w = torch.tensor([1.0, 1, 1, 1, 0, 0]).expand(3, -1)
    weighted = learner.meta_step(episode._replace(support_w=w))
    short = episode._replace(support_x=episode.support_x[:, :4], support_y=episode.support_y[:, :4])
    torch.testing.assert_close(weighted, learner.meta_step(short))


class Believing(nn.Linear):
    """A network with a prior."""

    def __init__(self):
        super().__init__(1, 1)

    def minus_log_prior(self):
        return self.weight.square().sum()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"order": 1}, "order=1: give None"),
        ({"inner_batch": 0}, "inner_batch=0"),
        ({"head": "prototypes"}, "head='prototypes'"),
        ({"model": "film"}, "needs a network with parameters that all adapt; FiLM shares"),
        ({"model": Believing()}, "Believing's prior could be added: use a network without one"),
    ],
)
def test_what_it_cannot_be_is_named(options, words):
    with pytest.raises(BenchError, match=words):
        Reptile(spec=TaskSpec("regression", (1,), 1), **options).configure_model()


def test_it_cannot_be_recorded(tasks):
    learner, episode, _ = tasks(Reptile, "vectors", engine="recorded")
    with pytest.raises(BenchError, match="Reptile makes its outer update itself"):
        learner.meta_step(episode)
