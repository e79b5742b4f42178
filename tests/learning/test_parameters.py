"""Layers and weights that a network uses in several places: adapted exactly, by every engine."""

import copy
import itertools
import shutil

import pytest
import torch
from lightning import Trainer
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from bench.algorithms.maml import MAML
from bench.base.errors import BenchError
from bench.data.sinusoid import SinusoidDataModule
from bench.learning.parameters import call_with
from bench.tasks.episode import Episode, TaskSpec


@pytest.fixture
def tasks(double):
    drawn = torch.Generator().manual_seed(2)
    x, y = (torch.randn(2, 3, 5, n, generator=drawn, dtype=torch.double) for n in (6, 2))
    return Episode(x[0], y[0], x[1], y[1], index=torch.arange(3))


class Listed(nn.Module):
    """The usual way to write it: layers by name, and again in a row."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(6, 6), nn.Linear(6, 2)
        self.layers = nn.Sequential(self.one, nn.Tanh(), self.two)

    def forward(self, x):
        return self.layers(x)


class Once(nn.Module):
    """The same, each layer under one name."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 2))

    def forward(self, x):
        return self.layers(x)


class Siamese(nn.Module):
    """One block under two names, called by both."""

    def __init__(self):
        super().__init__()
        self.left = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Tanh())
        self.right, self.head = self.left, nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.left(x[:, :3]) - self.right(x[:, 3:]).sin())


class OneNorm(nn.Module):
    """One batch norm in two places, one of them deeper."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(6, track_running_stats=False)
        self.block = nn.Sequential(nn.Linear(6, 6), self.norm, nn.Tanh())
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.block(self.norm(x)))


class Aliases(nn.Module):
    """A recurrent layer with an alias, in a dict of layers."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(3, 4, batch_first=True)
        self.parts = nn.ModuleDict({"rnn": self.rnn, "head": nn.Linear(4, 2)})

    def forward(self, x):
        return self.parts["head"](self.rnn(x.reshape(-1, 2, 3))[0][:, -1])


class TiedAndListed(nn.Module):
    """Two layers that share a weight, one of them under two names."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)
        self.two.weight = self.one.weight
        self.pair = nn.ModuleList([self.two, self.one])

    def forward(self, x):
        return self.head(self.two(self.pair[1](x).tanh()).tanh())


NETWORKS = [Listed, Siamese, OneNorm, Aliases, TiedAndListed]
compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="needs a C++ compiler"
)
COMPUTED = [
    *itertools.product(["loop", "batched", "recorded"], [1, 2]),
    pytest.param("compiled", 2, marks=[pytest.mark.slow, compiler]),  # which takes longest
]


def learner(net, **options):
    model = MAML(model=net, spec=TaskSpec("regression", (6,), 2), **options)
    model.configure_model()
    return model


@pytest.mark.filterwarnings("ignore:.*cannot be vectorised")  # GRU
@pytest.mark.parametrize(("engine", "order"), COMPUTED)
@pytest.mark.parametrize("kind", NETWORKS)
def test_meta_steps_as_of_copies_changed_in_place(kind, engine, order, tasks, plain_loop):
    torch.manual_seed(1)
    net = kind()
    plain, given = copy.deepcopy(net), list(net.parameters())
    model = learner(
        net, order=order, engine=engine, inner_lr=plain_loop.rate, inner_steps=plain_loop.steps
    )
    for _ in range(2):  # the second from what the first has left
        net.zero_grad()
        loss = model.meta_step(tasks)
        loss.backward()
        wanted_loss, wanted = plain_loop.loss(plain, tasks, order)
        found = torch.cat([p.grad.flatten() for p in net.parameters()])
        torch.testing.assert_close(loss.detach(), wanted_loss, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
        for parameters in (list(net.parameters()), list(plain.parameters())):
            vector_to_parameters(parameters_to_vector(parameters) - 0.1 * wanted, parameters)
    assert all(a is b for a, b in zip(net.parameters(), given, strict=True))


@pytest.mark.filterwarnings("ignore:.*cannot be vectorised")
@pytest.mark.parametrize("kind", NETWORKS)
def test_adapting_again_gives_the_same(kind, tasks):
    torch.manual_seed(1)
    net = kind()
    given = {n: (p, p.detach().clone()) for n, p in net.named_parameters()}
    model = learner(net, inner_lr=0.5, inner_steps=3)
    x, y, query = tasks.support_x[0], tasks.support_y[0], tasks.query_x[0]
    changed = copy.deepcopy(net)
    for _ in range(3):
        loss = (changed(x) - y).square().mean()
        gradients = torch.autograd.grad(loss, list(changed.parameters()))
        with torch.no_grad():
            for p, g in zip(changed.parameters(), gradients):
                p -= 0.5 * g
    for _ in range(3):
        torch.testing.assert_close(model.adapt(x, y)(query), changed(query).detach())
    for n, p in net.named_parameters():
        own, value = given[n]
        assert p is own
        assert isinstance(p, nn.Parameter)
        assert torch.equal(p, value)


@pytest.mark.parametrize("engine", ["loop", "batched", "recorded"])
def test_one_norm_in_several_places_takes_the_support_rows(engine, tasks):
    class Normed(nn.Module):
        def __init__(self, how):
            super().__init__()
            self.norm = nn.BatchNorm1d(6, affine=False, track_running_stats=False)
            self.first, self.head = nn.Linear(6, 6), nn.Linear(6, 2)
            if how == "named":
                self.block = nn.Sequential(self.first, self.norm)
            else:
                norm = [self.norm] if how == "listed" else nn.ModuleList([self.norm])
                self.block = lambda x: norm[0](self.first(x))

        def forward(self, x):
            return self.head(self.block(self.norm(x)))

    found = []
    for how in ("once", "named", "listed"):
        torch.manual_seed(1)
        model = learner(Normed(how), batch_norm="support", engine=engine, inner_steps=2)
        loss = model.meta_step(tasks)
        loss.backward()
        found.append([loss.item(), *[p.grad for p in model.net.parameters()]])
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)
    torch.testing.assert_close(found[2], found[0], rtol=0, atol=0)


@pytest.mark.parametrize("head", ["zero", "prototypes"])
@pytest.mark.parametrize("engine", ["loop", "batched", "recorded"])
def test_a_head_under_two_names(head, engine, tasks):
    class Classifier(nn.Module):
        def __init__(self, twice):
            super().__init__()
            features, last = nn.Sequential(nn.Linear(6, 4), nn.Tanh()), nn.Linear(4, 3)
            if twice:
                self.all = nn.Sequential(features, last)
            self.features, self.head = features, last

        def forward(self, x):
            return self.head(self.features(x))

    found = []
    for twice in (False, True):
        torch.manual_seed(1)
        y = torch.tensor([0, 1, 2, 0, 1]).expand(3, 5)
        spec = TaskSpec("classification", (6,), 3)
        model = MAML(model=Classifier(twice), spec=spec, head=head, engine=engine, inner_steps=2)
        model.configure_model()
        loss = model.meta_step(tasks._replace(support_y=y, query_y=y))
        loss.backward()
        features = model.net.features.parameters()
        found.append([loss.item(), *[p.grad.clone() for p in features]])
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)


@pytest.mark.parametrize("adapts", [("one",), ("layers",), ("layers.2.bias",), ("two", "one.bias")])
def test_what_adapts_may_be_named_by_any_name(adapts, tasks):
    torch.manual_seed(1)
    net = Listed()
    net.adapts = adapts
    every_name = {n: id(p) for n, p in net.named_parameters(remove_duplicate=False)}
    wanted = {p for n, p in every_name.items() if any(f"{n}.".startswith(f"{a}.") for a in adapts)}
    assert {every_name[n] for n in learner(net).start(tasks)} == wanted


def test_a_parameter_assigned_to_in_the_forward_pass(tasks):
    class Assigns(Once):
        def forward(self, x):
            self.layers[0].weight = nn.Parameter(self.layers[0].weight * 2)
            return super().forward(x)

    net = Assigns()
    given = list(net.parameters())
    with pytest.raises(BenchError, match="assigns to its parameter"):
        learner(net).loss(tasks)
    assert all(a is b for a, b in zip(net.parameters(), given, strict=True))


def test_an_error_leaves_the_parameters(tasks):
    class Fails(Listed):
        def forward(self, x):
            raise ZeroDivisionError(len(self.layers(x)))

    net = Fails()
    given = list(net.parameters())
    with pytest.raises(ZeroDivisionError):
        call_with(net, {n: p * 2 for n, p in net.named_parameters()}, tasks.support_x[0])
    assert all(a is b for a, b in zip(net.parameters(), given, strict=True))


def test_training_and_testing_as_with_one_name(tmp_path):
    class Sinusoid(nn.Module):
        def __init__(self, twice):
            super().__init__()
            self.one, self.two = nn.Linear(1, 8), nn.Linear(8, 1)
            if twice:
                self.layers = nn.Sequential(self.one, nn.Tanh(), self.two)

        def forward(self, x):
            return self.two(self.one(x).tanh())

    scores = []
    for twice in (False, True):
        torch.manual_seed(0)
        model = MAML(model=Sinusoid(twice), inner_steps=2)
        data = SinusoidDataModule(
            tasks_per_batch=4, iterations_per_epoch=5, val_episodes=4, test_episodes=6
        )
        trainer = Trainer(
            max_epochs=1,
            default_root_dir=tmp_path / f"{twice}",
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(model, data)
        scores += trainer.test(model, data, ckpt_path="best", verbose=False)
    assert scores[0] == scores[1]
