"""The last layer of each task: where it starts, or what it is in closed form; and its outputs.

With ``spec.varying_ways`` tasks differ in their number of classes. The layer is then as wide as the
most there can be, and the outputs of classes that a task lacks are made impossible.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.learning.inner_loop import Fast
from bench.tasks.episode import TaskSpec

Head = Literal["learned", "zero", "prototypes"]
IMPOSSIBLE = -1e9  # a logit whose softmax is exactly 0; finite, so that no 0 * inf can arise


def find(net: nn.Module, spec: TaskSpec) -> nn.Linear:
    """The last layer of a network of classes.

    Raises:
        BenchError: if the network has no such layer.
    """
    head = getattr(net, "head", None)
    if not spec.classifies:
        raise BenchError(f"head='zero' and 'prototypes' are for classes, not for {spec.kind}")
    if not isinstance(head, nn.Linear) or head.bias is None or not hasattr(net, "features"):
        raise BenchError(
            f"head='zero' and 'prototypes' need a network with .features and a .head that is "
            f"nn.Linear with a bias; {type(net).__name__} has no such parts"
        )
    return head


def zeros(net: nn.Module, tasks: int) -> Fast:
    """A layer of zeros for each task."""
    named = {f"head.{n}": p for n, p in net.head.named_parameters()}
    return {n: p.new_zeros(tasks, *p.shape) for n, p in named.items()}


def prototypes(features: Tensor, y: Tensor, w: Tensor | None, outputs: int) -> Fast:
    """The layer whose softmax is that of a prototypical network.

    ``w_c = 2 mean_c`` and ``b_c = -|mean_c|^2``, with the mean over the support rows of class c, so
    that the logits are minus the squared distances to the prototypes, up to a constant. The
    meta-gradient passes through the means.

    Triantafillou et al., "Meta-Dataset", ICLR 2020 (arXiv:1903.03096), section 3.1, after Snell,
    Swersky and Zemel 2017 (arXiv:1703.05175), equation 8.

    Args:
        features: ``[tasks, support, width]`` before the last layer.
        y: ``[tasks, support]`` class numbers.
        w: ``[tasks, support]`` 0/1 weights, or None.
        outputs: classes of the layer; those that a task lacks get zeros.
    """
    means = class_means(features, y, w, outputs)
    return {"head.weight": 2 * means, "head.bias": -means.square().sum(-1)}


def class_means(features: Tensor, y: Tensor, w: Tensor | None, outputs: int) -> Tensor:
    """The mean row of each class, ``[tasks, outputs, width]``; zeros where a task lacks one.

    Args:
        features: ``[tasks, support, width]``.
        y: ``[tasks, support]`` class numbers.
        w: ``[tasks, support]`` 0/1 weights, or None.
        outputs: classes.
    """
    members = _membership(y, w, outputs).to(features.dtype)
    sums = members.transpose(1, 2) @ features
    return sums / members.sum(1).clamp_min(1)[..., None]


def ridge(features: Tensor, y: Tensor, w: Tensor | None, outputs: int, strength: Tensor) -> Tensor:
    """The weights of ridge regression on one-hot targets, differentiable in all that it is given.

    ``W = X^T (X X^T + lambda I)^-1 Y``, solved among the rows, which are fewer than the features:
    Bertinetto et al. 2019 (arXiv:1805.08136), by the Woodbury identity. In float64, as the matrix
    is nearly singular where rows of a class are alike and lambda is small.

    Args:
        features: ``[tasks, support, width]``.
        y: ``[tasks, support]`` class numbers.
        w: ``[tasks, support]`` 0/1 weights, or None.
        outputs: classes.
        strength: lambda, above 0.

    Returns:
        ``[tasks, width, outputs]`` float64.
    """
    x, targets = features.double(), _membership(y, w, outputs).double()
    if w is not None:
        x = x * w[..., None]
    unit = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    products = x @ x.transpose(1, 2) + strength.double() * unit
    return x.transpose(1, 2) @ torch.linalg.solve(products, targets)


@torch.no_grad()
def logistic(features: Tensor, y: Tensor, w: Tensor | None, outputs: int) -> Tensor:
    """The weights of logistic regression, to convergence; not to be differentiated.

    Minimises ``sum_i CE(W^T x_i, y_i) + |W|^2 / 2``, which is strongly convex, so that W is unique.
    By Nesterov's method for such functions ("Introductory Lectures on Convex Optimization", 2004,
    scheme 2.2.9) in float64, until the error is a factor of 1e-13 smaller than at the start.

    Args:
        features: ``[tasks, support, width]``, rows of length 1 or less.
        y: ``[tasks, support]`` class numbers.
        w: ``[tasks, support]`` 0/1 weights, or None.
        outputs: classes.

    Returns:
        ``[tasks, width, outputs]`` float64.
    """
    x, targets = features.double(), _membership(y, w, outputs).double()
    steepest = x.shape[1] / 2 + 1  # no curvature is larger, and none smaller than 1
    condition = steepest**0.5
    weights = ahead = x.new_zeros(len(x), x.shape[2], outputs)
    for _ in range(math.ceil(30 * condition)):
        wrong = (x @ ahead).softmax(-1) * targets.sum(-1, keepdim=True) - targets
        after = ahead - (x.transpose(1, 2) @ wrong + ahead) / steepest
        ahead = after + (condition - 1) / (condition + 1) * (after - weights)
        weights = after
    return weights


def mask_absent(outputs: Tensor, y: Tensor, w: Tensor | None) -> Tensor:
    """Logits in which the classes that are not in the support set are impossible.

    Args:
        outputs: ``[tasks, rows, outputs]``.
        y: ``[tasks, support]`` class numbers.
        w: ``[tasks, support]`` 0/1 weights, or None.
    """
    there = _membership(y, w, outputs.shape[-1]).any(1)
    return outputs.masked_fill(~there[:, None], IMPOSSIBLE)


def _membership(y: Tensor, w: Tensor | None, outputs: int) -> Tensor:
    """Which rows are of which class, ``[tasks, support, outputs]``."""
    found = y[..., None] == torch.arange(outputs, device=y.device)
    return found if w is None else found & (w > 0)[..., None]
