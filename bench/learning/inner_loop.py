"""The only inner loop of the suite: gradient steps on the support set, for all tasks at once."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.autograd import Function

from bench.learning.second_derivatives import missing_are_named

Fast = dict[str, Tensor]


def inner_loop(
    support_loss: Callable[[Fast, int], Tensor],
    fast: Fast,
    steps: int,
    update: Callable[[Fast, Fast, int], Fast],
    order: int,
    recompute: bool = False,
    shared: Sequence[Tensor] = (),
    written: Callable[[Fast, int], Fast] | None = None,
) -> Iterator[Fast]:
    """Adapts by gradient descent and yields the parameters after every step (MAML, equation 1).

    ``theta'_t = update(theta_t, grad L_t(theta_t))``, in MAML ``theta_t - alpha * grad``. The tasks
    do not share parameters, so the gradient of the summed loss holds each task's own gradient.

    With ``order=2`` the steps stay in the autograd graph, so that a gradient of what is computed
    from the result differentiates through them. With ``order=1`` each gradient is taken on
    detached parameters and is a constant of the graph (FOMAML): no graph of the inner steps is
    ever built, and memory does not grow with their number. With ``order=0`` nothing is connected
    to anything, for evaluation.

    Args:
        support_loss: maps the parameters and the number of the step to ``[tasks]``, the loss of
            each task on its support set.
        fast: parameters that adapt, name to ``[tasks, ...]``.
        steps: how many steps.
        update: maps the parameters, their gradients and the number of the step to the parameters
            after it.
        order: 2, 1 or 0.
        recompute: with ``order=2``, keep only the parameters between steps, and compute each step
            again in the backward pass (Chen et al. 2016, arXiv:1604.06174).
        shared: with ``recompute``, what else the loss and the update depend on and is learned.
        written: does the same as a step of loss and update, from the parameters and the order,
            with a derivative of its own.

    Yields:
        The parameters after 0, 1, ..., ``steps`` steps.
    """
    names = list(fast)

    def step(k: int, order: int, values: Sequence[Tensor]) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            loss = support_loss(dict(zip(names, values)), k)
            with missing_are_named():
                gradients = torch.autograd.grad(
                    loss.sum(), values, create_graph=order == 2, materialize_grads=True
                )
        start = values if order == 2 else [v if order else v.detach() for v in fast.values()]
        after = update(dict(zip(names, start)), dict(zip(names, gradients)), k)
        return tuple(after[n] for n in names)

    for k in range(steps):
        yield fast
        if written is not None:
            fast = written(fast, order)
            continue
        if order == 2:
            values = [v if v.requires_grad else v.requires_grad_() for v in fast.values()]
        else:
            values = [v.detach().requires_grad_() for v in fast.values()]
        if recompute and order == 2:
            values = _Recomputed.apply(partial(step, k), len(values), *values, *shared)
        else:
            values = step(k, order, values)
        fast = dict(zip(names, values))
    yield fast


class _Recomputed(Function):
    """An inner step that keeps its inputs alone, and is done again where it is differentiated."""

    @staticmethod
    def forward(ctx, step, count, *tensors):
        ctx.step, ctx.count = step, count
        ctx.save_for_backward(*tensors)
        return tuple(
            v.detach() for v in step(0, [v.detach().requires_grad_() for v in tensors[:count]])
        )

    @staticmethod
    def backward(ctx, *g):
        values, shared = ctx.saved_tensors[: ctx.count], ctx.saved_tensors[ctx.count :]
        with torch.enable_grad():
            values = [v.detach().requires_grad_() for v in values]
            after = ctx.step(2, values)
        inputs = [*values, *shared]
        return None, None, *torch.autograd.grad(after, inputs, g, allow_unused=True)
