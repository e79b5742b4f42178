"""An inner step of linear layers with ReLU between them, its derivative written out by hand.

For a small network most of a step's time goes into what surrounds its matrix products. Here a step
and its derivative are a few kernels a layer, without ``vmap`` or autograd between them, and each
weight, the largest tensor there is, is read and written once.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.func import vmap

from bench.learning import torch_private
from bench.learning.inner_loop import Fast
from bench.learning.parameters import call_with
from bench.learning.recording import is_recordable
from bench.learning.task_layers import TaskLayers


class Chain(NamedTuple):
    """Layers of a network that are called one after the other.

    Attributes:
        embedding: the first layer, where it looks rows up; None without.
        names: of its parameters, then of the linear layers' weights, then of their biases.
    """

    embedding: nn.Embedding | None
    names: list[str]


def find(net: nn.Module, x: Tensor) -> Chain | None:
    """The linear layers with ReLU between them that a network is made of; None for any other.

    Such a network is ``nn.Sequential``, or says ``chain = True`` in the body of its own class: its
    layers are called one after the other, as they are registered. An embedding may come first.

    Args:
        net: the network.
        x: ``[tasks, rows, ...]``.
    """
    if type(net) is not nn.Sequential and not vars(type(net)).get("chain", False):
        return None
    modules = list(net.named_modules(remove_duplicate=False))[1:]
    layers = [(n, m) for n, m in modules if type(m) is not nn.Sequential]
    first, embedding, names = layers[0][1] if layers else None, None, []
    if isinstance(first, nn.Embedding) and is_recordable(first) and first.max_norm is None:
        embedding, names = first, [f"{layers[0][0]}.weight"]
    elif type(first) is not nn.Flatten and x.dim() != 3:
        return None
    layers = layers[1:] if embedding or type(first) is nn.Flatten else layers
    linear = [n for n, m in layers if type(m) is nn.Linear and m.bias is not None]
    names += [f"{n}.{kind}" for kind in ("weight", "bias") for n in linear]
    alternate = [type(m) for _, m in layers] == ([nn.Linear, nn.ReLU] * len(linear))[:-1]
    alone = len(list(net.parameters())) == len(names)  # none is shared, and there are no more
    hooked = any(map(torch_private.has_hooks, net.modules()))
    usable = linear and alternate and alone and not hooked and torch_private.has_kernels()
    return Chain(embedding, names) if usable else None


def step(
    chain: Chain,
    loss: Callable[[Tensor], Tensor],
    rate: float,
    x: Tensor,
    fast: Fast,
    order: int,
) -> Fast:
    """The parameters after one step of gradient descent, as the inner loop does it.

    Args:
        chain: the network.
        loss: maps ``[tasks, rows, outputs]`` to ``[tasks]``.
        rate: step size.
        x: ``[tasks, rows, ...]``.
        fast: weights ``[tasks, outputs, inputs]`` and biases ``[tasks, outputs]`` by name, and
            that of the embedding.
        order: 2, 1 or 0; see :func:`bench.learning.inner_loop.inner_loop`.
    """
    with torch.set_grad_enabled(order > 0):
        x = x if chain.embedding else x.flatten(2)
        given = loss, rate, order, chain.embedding, x
        values = _Step.apply(*given, *(fast[n] for n in chain.names))
    return dict(zip(chain.names, values))


class _Step(Function):
    """``W' = W - rate * h^T dz`` for each layer, whose input is ``h`` and output ``z``.

    Weights are ``[tasks, inputs, outputs]`` here, and the derivative of the loss is ``dz``. Of the
    loss, a function of the outputs alone, and of an embedding, of its weight alone, autograd finds
    the first and the second derivative.
    """

    @staticmethod
    def forward(ctx, loss, rate, order, embedding, x, *values):
        looked_up, weights, biases = _split(values, embedding)
        if embedding:
            with torch.enable_grad():
                looked_up = looked_up.detach().requires_grad_()
                rows = _rows(embedding, looked_up, x)
        h = [rows.detach() if embedding else x]
        for w, b in zip(weights, biases):
            z = torch.baddbmm(b[:, None], h[-1], w)
            h.append(z.relu() if len(h) < len(weights) else z)
        outputs = h.pop()
        with torch.enable_grad():
            outputs.requires_grad_()
            total = loss(outputs).sum()
            (slope,) = torch.autograd.grad(total, outputs, create_graph=order == 2)
        dz = [slope.detach()]
        for w, a in zip(weights[:0:-1], h[:0:-1]):
            dz.insert(0, _through_relu(torch.bmm(dz[0], w.transpose(1, 2)), a))
        after = [
            torch.baddbmm(w, a.transpose(1, 2), g, alpha=-rate).transpose(1, 2)
            for w, a, g in zip(weights, h, dz)
        ]
        after += [torch.add(b, g.sum(1), alpha=-rate) for b, g in zip(biases, dz)]
        if embedding:
            dx = torch.bmm(dz[0], weights[0].transpose(1, 2)).requires_grad_()
            with torch.enable_grad():
                (slope_there,) = torch.autograd.grad(rows, looked_up, dx, create_graph=order == 2)
            after.insert(0, torch.add(looked_up, slope_there, alpha=-rate).detach())
        if order == 2:
            if embedding:
                ctx.of_embedding = looked_up, rows, dx, slope_there
            ctx.save_for_backward(*weights, *h, *dz)
            ctx.of_outputs = outputs, slope
        ctx.rate, ctx.order, ctx.embedding = rate, order, embedding
        return tuple(after)

    @staticmethod
    @once_differentiable
    def backward(ctx, *by):
        """The step's kernels in reverse: first ``W'``, then ``dz``, then ``z``.

        The derivative by a tensor has its name with ``by_`` before it; of ``W'`` it is ``v``.
        """
        if ctx.order < 2:
            return None, None, None, None, None, *by
        v_looked_up, v, v_bias = _split(by, ctx.embedding)
        n, rate = len(v), ctx.rate
        weights, h, dz = (ctx.saved_tensors[i * n : (i + 1) * n] for i in range(3))
        by_dz = [
            torch.baddbmm(b[:, None], a, w, beta=-rate, alpha=-rate)
            for b, a, w in zip(v_bias, h, v)
        ]
        by_product = [None] * n  # of dz and weight, before it went through ReLU
        if ctx.embedding:
            looked_up, rows, dx, slope = ctx.of_embedding
            (by_product[0],) = torch.autograd.grad(slope, dx, -rate * v_looked_up)
            by_dz[0].baddbmm_(by_product[0], weights[0])
        for i in range(1, n):
            by_product[i] = _through_relu(by_dz[i - 1], h[i])
            by_dz[i].baddbmm_(by_product[i], weights[i])
        (by_z,) = torch.autograd.grad(ctx.of_outputs[1], ctx.of_outputs[0], by_dz[-1])
        by_weights, by_biases = [None] * n, [None] * n
        for i in reversed(range(n)):
            by_biases[i] = v_bias[i] + by_z.sum(1)
            left, right = h[i], by_z
            if by_product[i] is not None:  # two products in one
                left, right = torch.cat([left, by_product[i]], 1), torch.cat([right, dz[i]], 1)
                by_h = torch.bmm(dz[i], v[i].transpose(1, 2))
                by_h = torch.baddbmm(by_h, by_z, weights[i].transpose(1, 2), beta=-rate)
                by_z = _through_relu(by_h, h[i]) if i else None
            by_weights[i] = torch.baddbmm(v[i], left.transpose(1, 2), right).transpose(1, 2)
        made = [*by_weights, *by_biases]
        if ctx.embedding:
            made.insert(0, v_looked_up + torch.autograd.grad(rows, looked_up, by_h)[0])
        return None, None, None, None, None, *made


def _split(values: tuple[Tensor, ...], embedding: nn.Embedding | None) -> tuple:
    """The weight of the embedding, weights, inputs before outputs, and biases."""
    looked_up, values = (values[0], values[1:]) if embedding else (None, values)
    half = len(values) // 2
    return looked_up, [w.transpose(1, 2) for w in values[:half]], values[half:]


def _rows(embedding: nn.Embedding, weight: Tensor, x: Tensor) -> Tensor:
    """What an embedding gives for each task, ``[tasks, rows, width]``."""
    with TaskLayers():
        return vmap(lambda w, x: call_with(embedding, {"weight": w}, x))(weight, x)


def _through_relu(gradient: Tensor, output: Tensor) -> Tensor:
    return torch_private.threshold_backward(gradient, output, 0)
