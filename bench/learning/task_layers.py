"""Layers for many tasks at once, each task with weights of its own.

``torch.func.vmap`` turns a convolution with a weight per task into one grouped convolution, and
differentiates that twice through a general formula; both are slow on a CPU. Here the tasks are a
leading axis, values lie channels last, and every derivative is again one of a few kernels:

* convolution is linear in the image and in the weight, so it, its two gradients and all their
  derivatives are three bilinear maps, each of which is differentiated into the other two;
* the gradient of batch norm has a closed-form derivative;
* a linear layer is one batched matrix product.

What a kernel saves for its derivative is what it was given: a copy laid out otherwise, made inside,
would be cut off from the graph.

:class:`TaskLayers` puts them in the place of torch's own inside a vectorised forward pass; a
module does not know.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from bench.learning import torch_private
from bench.learning.task_batch_norm import BatchNorm, stacked
from bench.learning.torch_private import differs as _differs
from bench.learning.torch_private import with_tasks as _with_tasks

COVERED = (torch.float32, torch.float64, torch.bfloat16)
COLUMN_BYTES = 2**20  # larger columns leave the cache: then oneDNN's convolution, task by task


class TaskLayers(TorchFunctionMode):
    """Within this context, layers under ``vmap`` run what is here and in ``task_batch_norm``.

    Whatever they do not cover (groups, dilation, running statistics, other devices) is left as it
    is.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """Calls a torch function, or what stands for it."""
        kwargs = kwargs or {}
        if function in (torch.conv2d, F.conv2d):
            return _conv2d(*args, **kwargs)
        if function is F.linear:
            return _linear(*args, **kwargs)
        if function is F.batch_norm:
            return _batch_norm(*args, **kwargs)
        if function is F.embedding:
            return _embedding(*args, **kwargs)
        return function(*args, **kwargs)


def _conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    plain = not isinstance(padding, str) and groups == 1 and _pair(dilation) == (1, 1)
    if plain and _covered(x) and x.dim() == weight.dim() == 4 and _differs(weight):
        geometry = Geometry(tuple(weight.shape[2:]), _pair(stride), _pair(padding))
        return _with_tasks(lambda *v: Conv.apply(*v, geometry), x, weight, bias)
    return torch.conv2d(x, weight, bias, stride, padding, dilation, groups)


def _batch_norm(x, mean, variance, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    given = weight is not None and bias is not None and mean is None and variance is None
    if given and training and _covered(x):
        return _with_tasks(lambda *v: BatchNorm.apply(*v, eps), x, weight, bias)
    return F.batch_norm(x, mean, variance, weight, bias, training, momentum, eps)


def _linear(x, weight, bias=None):
    if bias is not None and x.dim() == weight.dim() == 2 and _differs(weight):
        return _with_tasks(
            lambda x, w, b: torch.baddbmm(b[:, None], x, w.transpose(1, 2)), x, weight, bias
        )
    return F.linear(x, weight, bias)


def _embedding(
    x,
    weight,
    padding_idx=None,
    max_norm=None,
    norm_type=2.0,
    scale_grad_by_freq=False,
    sparse=False,
):
    """Under ``vmap``, the padding's row gets a gradient, and words of all tasks are counted."""
    if padding_idx is not None:
        learned = torch.arange(len(weight), device=weight.device) != padding_idx % len(weight)
        weight, padding_idx = torch.where(learned[:, None], weight, weight.detach()), None
    counts_all = scale_grad_by_freq and not _differs(weight)
    found = F.embedding(
        x, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq and not counts_all, sparse
    )
    if counts_all:
        words = x.flatten()
        share = 1 / (words[:, None] == words).sum(1).to(weight).view(*x.shape, 1)
        found = found.detach() + share * (found - found.detach())
    return found


def _covered(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype in COVERED and torch_private.has_kernels()


def _pair(n: Any) -> tuple[int, int]:
    return (n, n) if isinstance(n, int) else (tuple(n) * 2)[:2]


# Convolution ------------------------------------------------------------------------------------


class Geometry(NamedTuple):
    """How a convolution's window moves.

    Attributes:
        kernel: height and width of the window.
        stride: rows and columns it moves by.
        padding: rows and columns of zeros on either side.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    def windows(self, shape: torch.Size) -> tuple[int, int]:
        """Height and width of the result for images ``[tasks, rows, height, width, channels]``."""
        return tuple(
            (shape[2 + i] + 2 * self.padding[i] - self.kernel[i]) // self.stride[i] + 1
            for i in (0, 1)
        )

    def in_columns(self, x_shape: torch.Size, element_size: int) -> bool:
        """Whether a task's windows, side by side, are small enough to stay in the cache."""
        high, wide = self.windows(x_shape)
        window = self.kernel[0] * self.kernel[1] * x_shape[4]
        return x_shape[1] * high * wide * window * element_size <= COLUMN_BYTES


class Conv(Function):
    """Convolution of each task's images with its own weight.

    Shapes: images ``[tasks, rows, channels, height, width]``, weight
    ``[tasks, outputs, channels, *kernel]``, bias ``[tasks, outputs]``; gives
    ``[tasks, rows, outputs, high, wide]``. What else is done with the same images has the columns
    that were made of them.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, geometry, columns=None):
        columns = _columns_of(x, geometry) if columns is None else columns
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.columns = geometry, columns
        return _first(_conv(_last(x), _last(weight), bias, geometry, columns))

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        need_x, need_weight, need_bias, *_ = ctx.needs_input_grad
        return (
            ConvImage.apply(g, weight, x.shape, ctx.geometry) if need_x else None,
            ConvWeight.apply(x, g, ctx.geometry, ctx.columns) if need_weight else None,
            g.sum((1, 3, 4)) if need_bias else None,
            None,
            None,
        )


class ConvImage(Function):
    """The gradient of a convolution with respect to its images: linear in ``g`` and weight."""

    @staticmethod
    def forward(ctx, g, weight, x_shape, geometry):
        ctx.save_for_backward(g, weight)
        ctx.geometry = geometry
        tasks, rows, channels, height, width = x_shape
        shape = (tasks, rows, height, width, channels)
        return _first(_conv_image(_last(g), _last(weight), shape, geometry))

    @staticmethod
    def backward(ctx, v):
        g, weight = ctx.saved_tensors
        need_g, need_weight, _, _ = ctx.needs_input_grad
        columns = _columns_of(v, ctx.geometry)
        return (
            Conv.apply(v, weight, None, ctx.geometry, columns) if need_g else None,
            ConvWeight.apply(v, g, ctx.geometry, columns) if need_weight else None,
            None,
            None,
        )


class ConvWeight(Function):
    """The gradient of a convolution with respect to its weight: linear in images and ``g``."""

    @staticmethod
    def forward(ctx, x, g, geometry, columns):
        ctx.save_for_backward(x, g)
        ctx.geometry, ctx.columns = geometry, columns
        return _first(_conv_weight(_last(x), _last(g), geometry, columns))

    @staticmethod
    def backward(ctx, v):
        x, g = ctx.saved_tensors
        need_x, need_g, *_ = ctx.needs_input_grad
        return (
            ConvImage.apply(g, v, x.shape, ctx.geometry) if need_x else None,
            Conv.apply(x, v, None, ctx.geometry, ctx.columns) if need_g else None,
            None,
            None,
        )


# The kernels: channels last, images [tasks, rows, height, width, channels], weight
# [tasks, outputs, *kernel, channels].


def _last(x: Tensor) -> Tensor:
    return x.permute(0, 1, 3, 4, 2).contiguous()  # no copy of what these kernels have made


def _first(x: Tensor) -> Tensor:
    return x.permute(0, 1, 4, 2, 3)


def _conv(x, weight, bias, geometry, columns):
    if columns is None:
        parts = [
            torch.conv2d(
                image.permute(0, 3, 1, 2),
                w.permute(0, 3, 1, 2),
                None if bias is None else bias[t],
                geometry.stride,
                geometry.padding,
            )
            for t, (image, w) in enumerate(zip(x, weight))
        ]
        return stacked([y.permute(0, 2, 3, 1) for y in parts])
    y = torch.bmm(columns, weight.flatten(2).transpose(1, 2))
    if bias is not None:
        y += bias[:, None]
    return y.view(*x.shape[:2], *geometry.windows(x.shape), weight.shape[1])


def _conv_image(g, weight, x_shape, geometry):
    if not geometry.in_columns(x_shape, g.element_size()):
        like = g.new_empty(x_shape[1:])
        return _native_gradient(0, g, [like] * len(g), weight, geometry)
    return _from_columns(torch.bmm(g.flatten(1, 3), weight.flatten(2)), x_shape, geometry)


def _conv_weight(x, g, geometry, columns):
    shape = (g.shape[4], *geometry.kernel, x.shape[4])
    if columns is None:
        return _native_gradient(1, g, x, [x.new_empty(shape)] * len(x), geometry)
    g = g.flatten(1, 3)
    if columns.shape[2] < g.shape[2]:  # a product with few columns is slow: 5x for one channel
        weight = torch.bmm(columns.transpose(1, 2), g).transpose(1, 2)
    else:
        weight = torch.bmm(g.transpose(1, 2), columns)
    return weight.reshape(len(x), *shape)


def _native_gradient(which, g, x, weight, geometry):
    """One of the gradients, task by task: 0 of the images, 1 of the weight."""
    mask = [which == 0, which == 1, False]
    parts = [
        torch_private.convolution_backward(
            *(v.permute(0, 3, 1, 2) for v in of_task), None, geometry.stride, geometry.padding,
            (1, 1), False, (0, 0), 1, mask,
        )[which]
        for of_task in zip(g, x, weight)
    ]  # fmt: skip
    return stacked([v.permute(0, 2, 3, 1) for v in parts])


def _columns_of(x: Tensor, geometry: Geometry) -> Tensor | None:
    """Columns of images ``[tasks, rows, channels, height, width]``, where they fit the cache."""
    x = _last(x)
    fit = geometry.in_columns(x.shape, x.element_size())
    return _columns(x, geometry) if fit else None


def _columns(x: Tensor, geometry: Geometry) -> Tensor:
    """The window of every position, ``[tasks, rows * high * wide, kernel * channels]``."""
    (kernel_high, kernel_wide), (down, right), padding = geometry
    high, wide = geometry.windows(x.shape)
    if any(padding):
        image, x = x, _empty_frame(x, x.shape, geometry)
        _inside(x, image.shape, geometry).copy_(image)
    tasks, rows, _, _, channels = x.shape
    image, line, pixel = x.stride(1), x.stride(2), x.stride(3)
    windows = x.as_strided(  # a line of a window lies in one piece
        (tasks, rows, high, wide, kernel_high, kernel_wide * channels),
        (x.stride(0), image, down * line, right * pixel, line, 1),
    )
    return windows.reshape(tasks, rows * high * wide, -1)


def _from_columns(columns: Tensor, x_shape: torch.Size, geometry: Geometry) -> Tensor:
    """Adds every window back to where it came from: the transpose of :func:`_columns`.

    Offsets less than a stride apart never meet, so they are added together.
    """
    (kernel_high, kernel_wide), (down, right), _ = geometry
    tasks, rows, _, _, channels = x_shape
    high, wide = geometry.windows(x_shape)
    x = _empty_frame(columns, x_shape, geometry)
    line, pixel, window = x.stride(2), channels, kernel_wide * channels
    to = (x.stride(0), x.stride(1), down * line, right * pixel, line, 1)
    place = kernel_high * window
    of = (rows * high * wide * place, high * wide * place, wide * place, place, window, 1)
    for i in range(0, kernel_high, down):
        for j in range(0, kernel_wide, right):
            block = min(down, kernel_high - i), min(right, kernel_wide - j) * channels
            shape = (tasks, rows, high, wide, *block)
            x.as_strided(shape, to, i * line + j * pixel).add_(
                columns.as_strided(shape, of, i * window + j * channels)
            )
    return _inside(x, x_shape, geometry).contiguous()


def _empty_frame(like: Tensor, shape: torch.Size, geometry: Geometry) -> Tensor:
    """Zeros as large as images with their padding."""
    tasks, rows, height, width, channels = shape
    high, wide = geometry.padding
    return like.new_zeros(tasks, rows, height + 2 * high, width + 2 * wide, channels)


def _inside(frame: Tensor, shape: torch.Size, geometry: Geometry) -> Tensor:
    """Where the images are between their padding."""
    high, wide = geometry.padding
    return frame.as_strided(shape, frame.stride(), high * frame.stride(2) + wide * frame.stride(3))
