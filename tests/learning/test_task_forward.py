"""Networks of the user's own: adapted exactly, or refused with a remedy."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.algorithms.maml import MAML
from bench.base.errors import BenchError
from bench.learning.task_forward import check_adaptable
from bench.tasks.episode import Episode, TaskSpec

RATE, STEPS = 0.1, 3


pytestmark = pytest.mark.usefixtures("double")


def maml(net, shape=(6,), **options):
    options = {"inner_lr": RATE, "inner_steps": STEPS} | options
    model = MAML(model=net, spec=TaskSpec("regression", shape, 1), **options)
    model.configure_model()
    return model


def episode(shape=(6,)):
    torch.manual_seed(0)
    x, y = torch.randn(2, 3, 5, *shape), torch.randn(2, 3, 5, 1)
    return Episode(x[0], y[0], x[1], y[1], index=torch.arange(3))


def in_place_loss(net, tasks):
    """The meta-objective with nothing functional about it: a copy of the module, changed."""
    losses = []
    for sx, sy, qx, qy in zip(*tasks[:4]):
        own = copy.deepcopy(net)
        parameters = [p for p in own.parameters() if p.requires_grad]
        for _ in range(STEPS):
            loss = (own(sx) - sy).square().mean()
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
            with torch.no_grad():
                for p, g in zip(parameters, gradients):
                    if g is not None:
                        p -= RATE * g
        losses.append((own(qx) - qy).square().mean().detach())
    return torch.stack(losses)


def check_gradient(net, model, tasks):
    """Against finite differences of the above."""
    torch.testing.assert_close(model.loss(tasks).detach(), in_place_loss(net, tasks))
    parameters = [p for p in net.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(model.loss(tasks).mean(), parameters, allow_unused=True)
    direction = [torch.randn_like(p) for p in parameters]
    values = []
    for size in (1e-5, -1e-5):
        moved = copy.deepcopy(net)
        with torch.no_grad():
            for p, d in zip([p for p in moved.parameters() if p.requires_grad], direction):
                p += size * d
        values.append(in_place_loss(moved, tasks).mean().item())
    along = sum((g * d).sum().item() for g, d in zip(gradients, direction) if g is not None)
    assert (values[0] - values[1]) / 2e-5 == pytest.approx(along, rel=1e-5, abs=1e-7)


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.recurrent, self.head = kind(2, 4, batch_first=True), nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.recurrent(x)[0][:, -1])


class Branching(nn.Module):
    """Control flow that depends on the data."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(6, 1), nn.Linear(6, 1)

    def forward(self, x):
        return self.one(x) if x.mean().item() > 0 else self.two(x).tanh()


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 1)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.head(self.two(self.one(x).tanh()).tanh())


class Partial(nn.Module):
    """A parameter that is not used, one that is frozen, one in a list, and a constant buffer."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Linear(3, 3)
        self.frozen = nn.Linear(6, 6).requires_grad_(False)
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(6)), nn.Parameter(torch.ones(6))])
        self.by_name = nn.ModuleDict({"head": nn.Linear(6, 1)})
        self.register_buffer("shift", torch.arange(6.0))

    def forward(self, x):
        x = self.frozen(x + self.shift).tanh()
        for scale in self.scales:
            x = (x * scale).tanh()
        return self.by_name["head"](x)


class Transposed(nn.Module):
    """Parameters that are not contiguous, and rows that attend to each other."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 6).T)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        x = x @ self.weight
        return self.head(self.attention(x[None], x[None], x[None])[0][0])


class Inplace(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 6), nn.SELU(inplace=True), nn.Linear(6, 1))

    def forward(self, x):
        return self.net(x).mul_(2)


@pytest.mark.parametrize("kind", [Tied, Partial, Transposed, Inplace])
def test_vectorised(kind):
    torch.manual_seed(3)
    net, tasks = kind(), episode()
    model = maml(net)
    check_gradient(net, model, tasks)
    assert model.forward_tasks.vectorised


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: Recurrent(nn.GRU), (3, 2)),
        (lambda: Recurrent(nn.LSTM), (3, 2)),
        (Branching, (6,)),
    ],
)
def test_what_cannot_be_vectorised_is_looped_over_and_said_once(make, shape, recwarn):
    torch.manual_seed(3)
    net, tasks = make(), episode(shape)
    model = maml(net, shape)
    with pytest.warns(UserWarning, match=r"cannot be vectorised.*exact but slower"):
        model.loss(tasks)
    recwarn.clear()
    check_gradient(net, model, tasks)
    assert not recwarn
    assert not model.forward_tasks.vectorised


def test_frozen_and_unused_parameters_stay():
    net, tasks = Partial(), episode()
    model = maml(net)
    assert not any("frozen" in n for n in model.start(tasks))
    gradients = torch.autograd.grad(
        model.loss(tasks).mean(), list(net.unused.parameters()), allow_unused=True
    )
    assert all(g is None or not g.any() for g in gradients)
    optimised = {id(p) for g in model.configure_optimizers().param_groups for p in g["params"]}
    assert not optimised & {id(p) for p in net.frozen.parameters()}


def test_nothing_to_learn():
    with pytest.raises(BenchError, match="no parameter that requires a gradient"):
        maml(nn.Linear(6, 1).requires_grad_(False))


# Refused: never silently wrong --------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.BatchNorm1d(6), "track_running_stats=False"),
        (nn.InstanceNorm1d(6, track_running_stats=True), "running statistics"),
        (nn.SyncBatchNorm(6, track_running_stats=False), "several devices"),
        (nn.Dropout(0.1), "active dropout"),
        (nn.AlphaDropout(0.1), "active dropout"),
        (nn.MultiheadAttention(6, 2, dropout=0.1), "active dropout"),
        (nn.GRU(6, 6, num_layers=2, dropout=0.1), "active dropout"),
        (nn.TransformerEncoderLayer(6, 2), "active dropout"),
    ],
)
def test_layers_refused(layer, words):
    net = nn.Sequential(nn.Linear(6, 6), nn.ModuleList([layer]))
    with pytest.raises(BenchError, match=words) as error:
        check_adaptable(net)
    assert "'1.0" in str(error.value)  # names the layer


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm1d(6, track_running_stats=False),
        nn.InstanceNorm1d(6),
        nn.Dropout(0.0),
        nn.MultiheadAttention(6, 2),
        nn.LSTM(6, 6),
        nn.TransformerEncoderLayer(6, 2, dropout=0.0),
    ],
)
def test_layers_accepted(layer):
    check_adaptable(nn.Sequential(layer, nn.Linear(6, 1)))


class Forward(nn.Module):
    """Does something to its input first."""

    def __init__(self, before):
        super().__init__()
        self.before, self.head = before, nn.Linear(6, 1)
        self.register_buffer("count", torch.zeros(()))
        self.listed = [self.head.weight]

    def forward(self, x):
        return self.before(self, x)


def counts(net, x):
    net.count.add_(1)
    return net.head(x)


def reassigns(net, x):
    net.count = net.count + x.mean()
    return net.head(x)


def drops(net, x):
    return net.head(F.dropout(x, 0.5, training=net.training))


def drops_unvectorised(net, x):
    x.mean().item()
    return drops(net, x)


def counts_unvectorised(net, x):
    x.mean().item()
    return counts(net, x)


def lists(net, x):
    return F.linear(x, net.listed[0], net.head.bias)


def flattens(net, x):
    return net.head(x)[:, 0]


def returns_two(net, x):
    return net.head(x), x


@pytest.mark.filterwarnings("ignore:.*cannot be vectorised")
@pytest.mark.parametrize(
    ("before", "words"),
    [
        (counts, "changes its buffers"),
        (counts_unvectorised, "changes its buffers"),
        (reassigns, "changes its buffers"),
        (drops, "remove the dropout"),
        (drops_unvectorised, "remove the dropout"),
        (lists, "nn.ParameterList"),
        (flattens, r"\[rows, outputs\]"),
        (returns_two, "tuple.*must return a tensor"),
    ],
)
def test_forward_passes_refused(before, words):
    with pytest.raises(BenchError, match=words):
        maml(Forward(before)).loss(episode())


@pytest.mark.filterwarnings("ignore:.*cannot be vectorised")
@pytest.mark.parametrize("before", [drops, drops_unvectorised])
def test_dropout_that_wakes_after_evaluation(before):
    # Lightning's sanity check evaluates first, when F.dropout(training=...) sleeps
    model = maml(Forward(before))
    model.eval()
    model.predict(episode())
    model.train()
    with pytest.raises(BenchError, match="remove the dropout"):
        model.loss(episode())


def test_mistakes_in_the_network_surface_unchanged():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        maml(nn.Linear(5, 1)).loss(episode())
    with pytest.raises(ZeroDivisionError):
        maml(Forward(lambda net, x: net.head(x) / (1 // 0))).loss(episode())


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("no memory left"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ],
)
def test_out_of_memory_is_not_mistaken_for_a_network_that_cannot_be_vectorised(recwarn, error):
    def exhausts(net, x):
        if torch._C._functorch.is_batchedtensor(x):
            raise error
        return net.head(x)

    with pytest.raises(type(error), match="memory"):
        maml(Forward(exhausts)).loss(episode())
    assert not recwarn
