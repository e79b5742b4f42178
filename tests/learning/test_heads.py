"""Heads that start anew in each task, against a plain loop in float64, and classes it lacks."""

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from bench.algorithms.fomaml import FOMAML
from bench.algorithms.maml import MAML
from bench.algorithms.no_adaptation import NoAdaptation
from bench.algorithms.random_init import RandomInit
from bench.base.errors import BenchError
from bench.tasks.episode import Episode, TaskSpec

pytestmark = pytest.mark.usefixtures("double")

SPEC = TaskSpec("classification", (2, 9, 9), 6, varying_ways=True)
STEPS, RATE = 3, 0.1


def task(ways, shots, queries, index):
    """One task of some of the six classes, its support shuffled."""
    made = torch.Generator().manual_seed(index)
    y = torch.arange(ways).repeat_interleave(shots)[torch.randperm(ways * shots, generator=made)]
    x = torch.randn(1, ways * (shots + queries), 2, 9, 9, generator=made)
    query_y = torch.arange(ways).repeat_interleave(queries)[None]
    rows = ways * shots
    return Episode(x[:, :rows], y[None], x[:, rows:], query_y, index=torch.tensor([index]))


def batch():
    return [task(2, 3, 2, 0), task(4, 1, 2, 1), task(6, 2, 1, 2)]


def learner(cls=MAML, **options):
    steps = {} if cls is NoAdaptation else {"inner_steps": STEPS, "inner_lr": RATE}
    made = cls(
        model="conv4", model_options={"filters": 2, "downsample": "stride"}, spec=SPEC,
        **steps | options,
    )  # fmt: skip
    made.configure_model()
    return made.double()


def reference(net, episode, order, head):
    """Loss of one task: explicit prototypes, explicit steps, the task's own outputs alone."""
    x, y = episode.support_x[0], episode.support_y[0]
    ways = int(y.max()) + 1
    # copies: the inner loop steps along the parameters, not along what the head was made from
    phi = {n: p.clone() for n, p in net.named_parameters() if not n.startswith("head.")}
    if head == "learned":
        phi |= {f"head.{n}": p for n, p in net.head.named_parameters()}
    else:
        weight, bias = torch.zeros_like(net.head.weight), torch.zeros_like(net.head.bias)
        if head == "prototypes":
            z = net.features(x)
            means = torch.stack([z[y == c].mean(0) for c in range(ways)])
            weight = torch.cat([2 * means, weight[ways:]])
            bias = torch.cat([-(means**2).sum(1), bias[ways:]])
        phi |= {"head.weight": weight, "head.bias": bias}
    phi = {n: v if v.requires_grad else v.requires_grad_() for n, v in phi.items()}
    for _ in range(STEPS):
        loss = F.cross_entropy(functional_call(net, phi, (x,))[:, :ways], y)
        gradients = torch.autograd.grad(loss, list(phi.values()), create_graph=True)
        if order == 1:
            gradients = [g.detach() for g in gradients]
        phi = {n: v - RATE * g for (n, v), g in zip(phi.items(), gradients)}
    outputs = functional_call(net, phi, (episode.query_x[0],))[:, :ways]
    return F.cross_entropy(outputs, episode.query_y[0])


def check(tasks, order, head, **options):
    made = learner(order=order, head=head, **options)
    learned = {n: p for n, p in made.net.named_parameters() if p.requires_grad}
    assert any(n.startswith("head.") for n in learned) == (head == "learned")
    loss = made.meta_step(tasks)
    found = torch.autograd.grad(loss, list(learned.values()))
    episodes = [tasks] if isinstance(tasks, Episode) else tasks
    wanted_loss = torch.stack([reference(made.net, e, order, head) for e in episodes]).mean()
    wanted = torch.autograd.grad(wanted_loss, list(learned.values()))
    assert torch.allclose(loss, wanted_loss, rtol=1e-10)
    for a, b in zip(found, wanted):
        assert (a - b).norm() <= 1e-10 * max(b.norm(), 1e-3)


@pytest.mark.parametrize("engine", ["loop", "batched"])
@pytest.mark.parametrize("head", ["learned", "zero", "prototypes"])
@pytest.mark.parametrize("order", [1, 2])
def test_tasks_of_different_shapes_equal_a_plain_loop(order, head, engine):
    check(batch(), order, head, engine=engine)


@pytest.mark.parametrize("head", ["zero", "prototypes"])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("how", [{"recompute": True}, {"engine": "recorded"}])
def test_other_ways_to_compute_a_step(order, head, how):
    check(batch()[0], order, head, **how)


def test_finite_differences_of_proto_maml():
    """The meta-gradient passes through the prototypes."""
    made = learner(head="prototypes")
    weight = made.net.features[0].weight
    direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(5))
    (gradient,) = torch.autograd.grad(made.meta_step(batch()[:2]), [weight])
    start, h, values = weight.detach().clone(), 1e-5, []
    for sign in (1, -1):
        with torch.no_grad():
            weight.copy_(start + sign * h * direction)
        values.append(made.meta_step(batch()[:2]).detach())
    slope = (values[0] - values[1]) / (2 * h)
    assert torch.allclose((gradient * direction).sum(), slope, rtol=1e-5)


def test_classes_that_a_task_lacks_are_impossible():
    made = learner(head="zero")
    probabilities = made.objective.probabilities(made.predict(batch()[1])[0, -1])
    assert probabilities[:, 4:].count_nonzero() == 0
    assert torch.allclose(probabilities.sum(-1), torch.ones(len(probabilities)))


def test_prototypes_are_a_prototypical_network_before_the_first_step():
    made, episode = learner(head="prototypes", test_steps=0), batch()[0]
    probabilities = made.objective.probabilities(made.predict(episode)[0, 0])[:, :2]
    support, query = (made.net.features(x[0]) for x in (episode.support_x, episode.query_x))
    means = torch.stack([support[episode.support_y[0] == c].mean(0) for c in range(2)])
    wanted = (-(torch.cdist(query, means) ** 2)).softmax(-1)
    assert torch.allclose(probabilities, wanted, atol=1e-8)


def test_rows_without_weight_are_in_no_prototype():
    """Padding of a class that only padding has does not make it one of the task's."""
    spec = TaskSpec("classification", (4,), 3, varying_ways=True)
    made = MAML(model="mlp", spec=spec, head="prototypes", test_steps=0)
    made.configure_model()
    made.double()
    x = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(1))
    y = torch.tensor([[0, 1, 0, 1, 2]])
    w = torch.tensor([[1.0, 1, 1, 0, 0]])
    padded = made.predict(Episode(x, y, x, y, support_w=w))[0, 0]
    whole = made.predict(Episode(x[:, :3], y[:, :3], x, y))[0, 0]
    assert torch.allclose(padded, whole)


@pytest.mark.parametrize("cls", [FOMAML, RandomInit, NoAdaptation])
def test_other_algorithms_take_tasks_of_different_shapes(cls):
    made = learner(cls)
    made.meta_step(batch()).backward()
    for episode in batch():
        outputs = made.evaluate(episode)
        assert outputs.shape[2:] == (episode.query_y.shape[1], 6)


def test_what_cannot_be_is_refused():
    with pytest.raises(BenchError, match="one shape"):
        learner(engine="recorded").meta_step(batch())
    with pytest.raises(BenchError, match="head='prototype'.*prototypes"):
        MAML(head="prototype")
    with pytest.raises(BenchError, match=r"\.head that is nn.Linear"):
        MAML(model=nn.Sequential(nn.Linear(4, 3)), head="zero", spec=TaskSpec(
            "classification", (4,), 3)).configure_model()  # fmt: skip
    with pytest.raises(BenchError, match="for classes, not for regression"):
        MAML(model="mlp", head="zero", spec=TaskSpec("regression", (1,), 1)).configure_model()
