"""What moves the meta-learned parameters: Adam, at a constant rate or one that falls to zero."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from bench.base.errors import BenchError


def adam(
    parameters: Iterable[Tensor], rate: float, schedule: str, steps: Callable[[], float]
) -> Optimizer | dict[str, Any]:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980), as Lightning takes it.

    Args:
        parameters: those to learn.
        rate: the learning rate.
        schedule: ``"constant"``, or ``"cosine"``, which falls to zero by the last step.
        steps: gives the number of steps of the whole run; asked for where it is needed alone.

    Raises:
        BenchError: if the rate is to fall to zero in a run without an end.
    """
    optimizer = torch.optim.Adam(parameters, lr=rate)
    if schedule == "constant":
        return optimizer
    if (last := steps()) == float("inf"):
        raise BenchError("outer_schedule='cosine' needs an end: give the Trainer max_steps")
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, int(last))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": falling, "interval": "step"}}
