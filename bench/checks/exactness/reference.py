"""The meta-gradient that all are held against: one task, one step after the other, in float64."""

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from bench.checks.exactness.layers import Layer
from bench.checks.exactness.torch_layers import without_checkpoints
from bench.checks.speed import torch_parts

TOLERANCE = 1e-8  # relative: far above rounding, far below every mistake that was ever found


def meta_gradient(layer: Layer, order: int) -> dict[str, np.ndarray]:
    """Of the mean loss on the query, by the names of the weights.

    It knows nothing of functional calls: every step has a copy of the network in which tensors
    have taken the place of the parameters, object by object; and nothing is computed again in the
    backward pass.
    """
    net, batch, _ = torch_parts.parts(layer, "float64")
    parameters = list(net.parameters())
    loss = meta_loss(layer, without_checkpoints(net), parameters, batch, order)
    gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
    return {n: g.numpy() for (n, _), g in zip(net.named_parameters(), gradients)}


def meta_loss(
    layer: Layer, net: nn.Module, start: list[Tensor], batch: list[Tensor], order: int
) -> Tensor:
    """The mean loss on the query of networks that start from these values, a scalar."""
    losses = []
    for sx, sy, qx, qy in zip(*batch):
        values = start
        for _ in range(layer.inner_steps):
            with sdpa_kernel(SDPBackend.MATH):  # the only attention with second derivatives
                loss = F.cross_entropy(_copy(net, values)(sx), sy)
            gradients = torch.autograd.grad(loss, values, create_graph=True)
            if order == 1:
                gradients = [g.detach() for g in gradients]
            values = [v - layer.inner_lr * g for v, g in zip(values, gradients)]
        losses.append(F.cross_entropy(_copy(net, values)(qx), qy))
    return torch.stack(losses).mean()


def error(gradient: dict[str, np.ndarray], true: dict[str, np.ndarray]) -> float:
    """How far a meta-gradient is off, relative to the norm of the true one.

    Raises:
        ValueError: if it is not of the same weights.
    """
    if {n: v.shape for n, v in gradient.items()} != {n: v.shape for n, v in true.items()}:
        raise ValueError("its gradient is not of the weights that the network has")
    flat, wanted = (np.concatenate([g[n].ravel() for n in sorted(true)]) for g in (gradient, true))
    return float(np.linalg.norm(flat - wanted) / np.linalg.norm(wanted))


def _copy(net: nn.Module, values: list[Tensor]) -> nn.Module:
    return copy.deepcopy(net, {id(p): v for p, v in zip(net.parameters(), values)})
