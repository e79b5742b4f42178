"""Where torch no longer has a private name, the meta-gradient is the same and a warning says so."""

import builtins
import importlib
import re
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

import bench
from bench.algorithms.maml import MAML
from bench.learning import torch_private
from bench.tasks.episode import Episode, TaskSpec

pytestmark = pytest.mark.usefixtures("double")

TASKS, STEPS, RATE = 3, 2, 0.1
LAYERS = ("torch._C", "torch._functorch.pyfunctorch")
RECORDING = ("torch.fx.experimental.proxy_tensor",)


@pytest.fixture
def without(monkeypatch):
    """Takes modules away from the one file that imports private names."""
    real = builtins.__import__

    def take(*gone):
        def imports(name, space=None, *rest):
            if space and space.get("__name__") == torch_private.__name__ and name in gone:
                raise ImportError(f"no {name} today")
            return real(name, space, *rest)

        monkeypatch.setattr(builtins, "__import__", imports)
        importlib.reload(torch_private)

    yield take
    monkeypatch.undo()
    importlib.reload(torch_private)


def network():
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, stride=2),
        nn.BatchNorm2d(3, track_running_stats=False),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(27, 4),
        nn.LayerNorm(4),
        nn.Linear(4, 3),
    )


def episode():
    made = torch.Generator().manual_seed(3)
    x = torch.randn(2, TASKS, 6, 2, 6, 6, generator=made)
    y = torch.randint(3, (2, TASKS, 6), generator=made)
    return Episode(x[0], y[0], x[1], y[1])


def reference(order):
    """The meta-gradient, written out with nothing but torch.autograd.grad."""
    net, tasks, losses = network(), episode(), []
    for t in range(TASKS):
        phi = dict(net.named_parameters())
        for _ in range(STEPS):
            loss = F.cross_entropy(
                functional_call(net, phi, (tasks.support_x[t],)), tasks.support_y[t]
            )
            gradients = torch.autograd.grad(loss, list(phi.values()), create_graph=True)
            if order == 1:
                gradients = [g.detach() for g in gradients]
            phi = {n: v - RATE * g for (n, v), g in zip(phi.items(), gradients)}
        outputs = functional_call(net, phi, (tasks.query_x[t],))
        losses.append(F.cross_entropy(outputs, tasks.query_y[t]))
    return torch.autograd.grad(torch.stack(losses).mean(), list(net.parameters()))


def check(order, engine):
    spec = TaskSpec("classification", (2, 6, 6), 3)
    model = MAML(
        model=network(), spec=spec, order=order, inner_steps=STEPS, inner_lr=RATE, engine=engine
    )
    model.configure_model()
    found = torch.autograd.grad(model.meta_step(episode()), list(model.parameters()))
    for a, b in zip(found, reference(order), strict=True):
        assert (a - b).norm() <= 1e-10 * max(b.norm(), 1e-3)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    ("gone", "engine", "words"),
    [
        (LAYERS[:1], "batched", "torch's own layers are used"),
        (LAYERS[1:], "batched", "torch's own layers are used"),
        (LAYERS, "recorded", "torch's own layers are used"),
        (RECORDING, "recorded", "steps are not recorded"),
        (RECORDING, "compiled", "steps are not recorded"),
    ],
)
def test_the_meta_gradient_stays_exact_and_it_is_said_once(without, gone, engine, words, order):
    without(*gone)
    with pytest.warns(UserWarning, match=f"{words}, which is exact but slower"):
        check(order, engine)
    with warnings.catch_warnings(action="error"):
        check(order, engine)


def test_the_kernels_are_used_where_there_are_private_names(without, monkeypatch):
    def used(*arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(torch_private, "native_batch_norm", used)
    with pytest.warns(UserWarning, match="cannot be vectorised"):
        check(2, "batched")
    without(*LAYERS)
    with pytest.warns(UserWarning, match="torch's own layers are used"):
        check(2, "batched")


def test_private_names_stand_in_one_file():
    private = re.compile(r"torch\._|nn\.modules\.|fx\.experimental|\._version\b|_functorch")
    for path in sorted(Path(bench.__file__).parent.rglob("*.py")):
        lines = [line for line in path.read_text("utf-8").splitlines() if private.search(line)]
        assert path.name == "torch_private.py" or not lines, (path, lines)


def test_changes_are_seen_without_counters():
    class Bare(torch.Tensor):
        """A tensor of a torch that counts no changes."""

        @property
        def _version(self):
            raise AttributeError

    class Layer:
        """A module that shows its buffers by its public method alone."""

        def buffers(self, recurse):
            return [] if recurse else [number]

    number = torch.zeros(2, 3, dtype=torch.bfloat16).as_subclass(Bare)
    torch_private._warn_once.cache_clear()
    with pytest.warns(UserWarning, match="by their content"):
        before = torch_private.version(number)
    assert torch_private.version(number) == before
    number[1, 2] += 1
    assert torch_private.version(number) != before
    with pytest.warns(UserWarning, match="its method is called"):
        assert torch_private.buffers([Layer()]) == [number]
    torch_private._warn_once.cache_clear()
