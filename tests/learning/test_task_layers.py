"""The layers for many tasks against torch's own, to second order, in float64."""

import gc

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, vmap
from torch.nn import functional as F

from bench.learning import task_batch_norm, task_layers
from bench.learning.task_layers import BatchNorm, Conv, Geometry, TaskLayers

KERNELS = [  # kernel, stride, padding
    (3, 2, 1),
    (3, 1, 1),
    (1, 1, 0),
    (2, 3, 0),
    (5, 2, 2),
    ((2, 3), (1, 2), (0, 1)),
]


pytestmark = pytest.mark.usefixtures("double")


@pytest.fixture(params=["columns", "native"])
def kernel(request, monkeypatch):
    """Both ways to compute a convolution, whatever its size."""
    monkeypatch.setattr(task_layers, "COLUMN_BYTES", 2**40 if request.param == "columns" else 0)


def pair(n):
    return n if isinstance(n, tuple) else (n, n)


def leaf(*shape):
    return torch.randn(*shape).requires_grad_()


@pytest.mark.parametrize(("size", "stride", "padding"), KERNELS)
def test_convolution_and_its_derivatives(kernel, size, stride, padding):
    x, weight, bias = leaf(2, 2, 2, 6, 7), leaf(2, 3, 2, *pair(size)), leaf(2, 3)
    geometry = Geometry(pair(size), pair(stride), pair(padding))

    def convolve(x, weight, bias):
        return Conv.apply(x, weight, bias, geometry)

    by_torch = [F.conv2d(*of_task, stride, padding) for of_task in zip(x, weight, bias)]
    torch.testing.assert_close(convolve(x, weight, bias), torch.stack(by_torch))
    assert gradcheck(convolve, (x, weight, bias))
    assert gradgradcheck(convolve, (x, weight, bias))


@pytest.mark.parametrize("small", [0, 2**20], ids=["task by task", "all at once"])
def test_batch_norm_and_its_derivatives(small, monkeypatch):
    monkeypatch.setattr(task_batch_norm, "SMALL_BYTES", small)
    x, weight, bias = leaf(2, 5, 3), leaf(2, 3), leaf(2, 3)

    def normalise(x, weight, bias):
        return BatchNorm.apply(x, weight, bias, 1e-5)

    by_torch = [F.batch_norm(r, None, None, w, b, True) for r, w, b in zip(x, weight, bias)]
    torch.testing.assert_close(normalise(x, weight, bias), torch.stack(by_torch))
    assert gradcheck(normalise, (x, weight, bias))
    assert gradgradcheck(normalise, (x, weight, bias))


def test_a_third_derivative_is_refused_rather_than_wrong():
    x, weight, bias = leaf(2, 5, 3), leaf(2, 3), leaf(2, 3)
    y = BatchNorm.apply(x, weight, bias, 1e-5)
    (first,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.pow(2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        second.sum().backward()


def hessian_vector(forward, parameters, x):
    """A second-order product through the parameters, and the loss."""
    y = forward(parameters, x)
    loss = (y.sin() * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum()
    values = list(parameters.values())
    gradients = torch.autograd.grad(loss, values, create_graph=True)
    product = sum((g.tanh() * (i + 1)).sum() for i, g in enumerate(gradients))
    return [loss.detach(), *torch.autograd.grad(product, [*values, x])]


def test_nothing_is_left_behind():
    """A node that holds what it has given holds itself, and no collector finds that."""

    def tensors():
        x, weight, bias = leaf(2, 5, 3, 6, 6), leaf(2, 3), leaf(2, 3)
        y = BatchNorm.apply(x, weight, bias, 1e-5)
        y = Conv.apply(y, leaf(2, 3, 3, 3, 3), None, Geometry((3, 3), (1, 1), (1, 1)))
        gradients = torch.autograd.grad(y.sin().sum(), (x, weight, bias), create_graph=True)
        sum(g.square().sum() for g in gradients).backward()
        del x, weight, bias, y, gradients
        gc.collect()
        return sum(type(v) is torch.Tensor for v in gc.get_objects())

    assert tensors() == tensors()


class Pooled(nn.Module):
    """Convolutions between layers whose gradients come in other memory layouts."""

    def __init__(self, norm):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, stride=2)
        self.norm = norm
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = F.avg_pool2d(F.silu(self.norm(self.first(x))), 2)
        x = self.second(x.transpose(2, 3)).tanh()
        return self.head(x.mean((2, 3)))


NORMS = {
    "affine": lambda: nn.BatchNorm2d(4, track_running_stats=False),
    "plain": lambda: nn.BatchNorm2d(4, affine=False, track_running_stats=False),
    "group": lambda: nn.GroupNorm(2, 4),
    "instance": lambda: nn.InstanceNorm2d(4, affine=True),
    "none": nn.Identity,
}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("contiguous", [True, False])
def test_inside_any_network(kernel, norm, contiguous):
    """What a kernel makes goes through other layers, and comes back in their layout."""
    net = Pooled(NORMS[norm]())
    parameters = {n: torch.randn(3, *p.shape).requires_grad_() for n, p in net.named_parameters()}
    x = torch.randn(3, 5, 2, 8, 10)
    if not contiguous:
        x = x.transpose(1, 2).contiguous().transpose(1, 2)
    x.requires_grad_()

    def looped(parameters, x):
        tasks = [{n: p[t] for n, p in parameters.items()} for t in range(len(x))]
        return torch.stack([functional_call(net, p, (v,)) for p, v in zip(tasks, x)])

    def together(parameters, x):
        with TaskLayers():
            return vmap(lambda p, v: functional_call(net, p, (v,)))(parameters, x)

    torch.testing.assert_close(
        hessian_vector(together, parameters, x), hessian_vector(looped, parameters, x)
    )


def test_the_layers_are_used():
    net = Pooled(nn.BatchNorm2d(4, track_running_stats=False))
    parameters = {n: torch.randn(2, *p.shape).requires_grad_() for n, p in net.named_parameters()}
    with TaskLayers():
        y = vmap(lambda p, v: functional_call(net, p, (v,)))(parameters, torch.randn(2, 3, 2, 8, 8))
    seen, front = set(), [y.grad_fn]
    while front:
        node = front.pop()
        if node is not None and node not in seen:
            seen.add(node)
            front += [n for n, _ in node.next_functions]
    names = {node.name() for node in seen}
    assert {"ConvBackward", "BatchNormBackward", "BaddbmmBackward0"} <= names
    assert not {n for n in names if "Convolution" in n or "NativeBatchNorm" in n}


def test_shared_weights_and_uncovered_convolutions_are_left_to_torch():
    x, shared, grouped = (torch.randn(*n) for n in ((2, 3, 4, 6, 6), (2, 4, 3, 3), (2, 2, 3, 3)))
    with TaskLayers():
        found = [
            vmap(lambda v: F.conv2d(v, shared, padding=1))(x),
            vmap(lambda v: F.conv2d(v, shared, padding="same"))(x),
            vmap(lambda v: F.conv2d(v, grouped, padding=1, groups=2))(x),
        ]
    for y, weight, groups in zip(found, (shared, shared, grouped), (1, 1, 2)):
        by_torch = [F.conv2d(v, weight, padding=1, groups=groups) for v in x]
        torch.testing.assert_close(y, torch.stack(by_torch))
