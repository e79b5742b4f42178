"""The only inner loop of the suite: gradient steps on the support set, for all tasks at once."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Fast = dict[str, Tensor]


def inner_loop(
    support_loss: Callable[[Fast], Tensor],
    fast: Fast,
    steps: int,
    rate: Callable[[str, int], Tensor | float],
    order: int,
) -> Iterator[Fast]:
    """Adapts by gradient descent and yields the parameters after every step (MAML, equation 1).

    ``theta'_t = theta_t - rate * grad L_t(theta_t)``. The tasks do not share parameters, so the
    gradient of the summed loss holds each task's own gradient.

    With ``order=2`` the steps stay in the autograd graph, so that a gradient of what is computed
    from the result differentiates through them. With ``order=1`` each gradient is taken on
    detached parameters and is a constant of the graph (FOMAML): no graph of the inner steps is
    ever built, and memory does not grow with their number. With ``order=0`` nothing is connected
    to anything, for evaluation.

    Args:
        support_loss: maps the parameters to ``[tasks]``, the mean loss over each support set.
        fast: parameters that adapt, name to ``[tasks, ...]``.
        steps: how many steps.
        rate: step size of a parameter at a step, a number or a tensor that broadcasts.
        order: 2, 1 or 0.

    Yields:
        The parameters after 0, 1, ..., ``steps`` steps.
    """
    for step in range(steps):
        yield fast
        if order == 2:
            values = [v if v.requires_grad else v.requires_grad_() for v in fast.values()]
        else:
            values = [v.detach().requires_grad_() for v in fast.values()]
        with torch.enable_grad():
            loss = support_loss(dict(zip(fast, values)))
            gradients = torch.autograd.grad(
                loss.sum(), values, create_graph=order == 2, materialize_grads=True
            )
        start = values if order == 2 else [v if order else v.detach() for v in fast.values()]
        fast = {n: v - rate(n, step) * g for n, v, g in zip(fast, start, gradients)}
    yield fast
