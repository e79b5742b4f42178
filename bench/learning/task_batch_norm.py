"""Batch norm for many tasks at once, each with weights of its own, and its derivatives.

The gradient of batch norm has a closed-form derivative, so two kernels are all that MAML needs.
See :mod:`bench.learning.task_layers`, which puts it in the place of torch's own.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from bench.learning import torch_private

SMALL_BYTES = 48 * 2**10  # of one task


class BatchNorm(Function):
    """Normalises each task's rows by their own mean and variance (Ioffe and Szegedy 2015).

    Shapes: ``[tasks, rows, channels, ...]``, weight and bias ``[tasks, channels]``.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, eps):
        rows = _rows(x)
        if _small(rows):
            y, mean, scale = torch_private.native_batch_norm(
                _beside(rows), weight.reshape(-1), bias.reshape(-1), None, None, True, 0.0, eps
            )
            y, mean, scale = _apart(y, weight), mean.view_as(weight), scale.view_as(weight)
        else:
            y, (mean, scale) = torch.empty_like(rows), weight.new_empty(2, *weight.shape)
            for t in range(len(x)):
                torch_private.native_batch_norm(
                    rows[t], weight[t], bias[t], None, None, True, 0.0, eps,
                    out=(y[t], mean[t], scale[t]),
                )  # fmt: skip
        ctx.save_for_backward(x, weight)
        ctx.of_x, ctx.eps = (mean, scale), eps
        return _unrows(y, x)

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        return *BatchNormGradient.apply(g, x, weight, *ctx.of_x, ctx.eps), None


class BatchNormGradient(Function):
    """The gradients of batch norm with respect to its rows, weight and bias.

    With ``n`` rows, ``u = (x - mean) * scale`` the normalised rows and ``a = weight * scale``::

        dx = a * (g - sum(g) / n - u * sum(g * u) / n),   dweight = sum(g * u),   dbias = sum(g)

    Mean and scale (one over the standard deviation) are given, but are functions of ``x``.
    """

    @staticmethod
    def forward(ctx, g, x, weight, mean, scale, eps):
        given = _rows(g), _rows(x), weight, mean, scale
        backward, options = torch_private.native_batch_norm_backward, (True, eps, [True] * 3)
        if _small(given[1]):
            flat = [*map(_beside, given[:2]), *(v.reshape(-1) for v in given[2:])]
            dx, dweight, dbias = backward(*flat[:3], None, None, *flat[3:], *options)
            dx, dweight, dbias = _apart(dx, weight), dweight.view_as(weight), dbias.view_as(weight)
        else:
            parts = [backward(*v[:3], None, None, *v[3:], *options) for v in zip(*given)]
            dx, dweight, dbias = (stacked(values) for values in zip(*parts))
        ctx.save_for_backward(g, x, weight, dbias, dweight)  # results kept otherwise never go
        ctx.of_x = mean, scale
        return _unrows(dx, x), dweight, dbias

    @staticmethod
    @once_differentiable
    def backward(ctx, v, v_weight, v_bias):
        """Differentiates ``sum(v * dx) + sum(v_weight * dweight) + sum(v_bias * dbias)``.

        It depends on ``g``, ``u``, ``a`` and ``weight``; with ``sum(v * dx) = a * r``, its
        derivative by ``u`` is ``p * v + q * g``, and ``u`` and ``a`` depend on ``x``.
        """
        g, x, weight, *sums = ctx.saved_tensors
        like = x
        v, g, x = _rows(v), _rows(g), _rows(x)
        mean, scale, g_sum, gu_sum = (s[:, None] for s in (*ctx.of_x, *sums))
        n = x.shape[1]
        u = (x - mean).mul_(scale)
        a = weight[:, None] * scale
        b, c = a / -n, scale / -n
        v_sum, vu_sum, vg_sum = _sum(v), _sum(v, u), _sum(v, g)
        r = torch.addcmul(vg_sum, v_sum, g_sum, value=-1 / n).addcmul_(vu_sum, gu_sum, value=-1 / n)
        p = b * gu_sum
        q = torch.addcmul(v_weight[:, None], b, vu_sum)
        by_g = torch.addcmul(torch.addcmul(v_bias[:, None], b, v_sum), u, q).addcmul_(v, a)
        h_sum = (p * v_sum).addcmul_(q, g_sum)  # of h = p * v + q * g
        hu_sum = (p * vu_sum).addcmul_(q, gu_sum).addcmul_(a, r)
        by_x = torch.addcmul(h_sum * c, u, hu_sum * c)
        by_x.addcmul_(v, p * scale).addcmul_(g, q * scale)
        by_weight = (r * scale)[:, 0]
        return _unrows(by_g, like), _unrows(by_x, like), by_weight, None, None, None


def _rows(x: Tensor) -> Tensor:
    """``[tasks, rows, channels, ...]`` as ``[tasks, all rows and places, channels]``."""
    return x.permute(0, 1, *range(3, x.dim()), 2).flatten(1, -2).contiguous()


def _small(rows: Tensor) -> bool:
    """Whether one kernel for all tasks, and two copies, take less time than a kernel for each."""
    return len(rows) > 1 and rows[0].numel() * rows.element_size() <= SMALL_BYTES


def _beside(rows: Tensor) -> Tensor:
    """``[tasks, rows, channels]`` as ``[rows, tasks * channels]``, as channels do not meet."""
    return rows.transpose(0, 1).flatten(1)


def _apart(rows: Tensor, weight: Tensor) -> Tensor:
    """``[rows, tasks * channels]`` as ``[tasks, rows, channels]``, the weight's first and last."""
    return rows.view(len(rows), *weight.shape).transpose(0, 1).contiguous()


def _unrows(rows: Tensor, like: Tensor) -> Tensor:
    last = like.dim() - 1
    rows = rows.view(*like.shape[:2], *like.shape[3:], like.shape[2])
    return rows.permute(0, 1, last, *range(2, last))


def _sum(x: Tensor, y: Tensor | None = None) -> Tensor:
    """Sum over the rows of ``x`` or ``x * y``, ``[tasks, 1, channels]``."""
    return (x if y is None else x * y).sum(1, keepdim=True)


def stacked(parts: Sequence[Tensor]) -> Tensor:
    """One tensor of what was computed task by task, ``[tasks, ...]``; no copy of a single one."""
    return parts[0][None] if len(parts) == 1 else torch.stack(parts)
