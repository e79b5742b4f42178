"""How the outer learning rate falls over a run."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch.optim import Optimizer

from bench.base.errors import BenchError

OuterSchedule = Literal["constant", "cosine", "linear"]


def scheduled(
    optimizer: Optimizer, schedule: OuterSchedule, steps: Callable[[], float]
) -> Optimizer | dict[str, Any]:
    """An optimiser with the schedule of its rate, as Lightning takes it.

    Args:
        optimizer: any.
        schedule: ``"constant"``, or ``"cosine"`` or ``"linear"``, which fall to zero by the last
            step.
        steps: gives the number of steps of the whole run; asked for where it is needed alone.

    Raises:
        BenchError: if the rate is to fall to zero in a run without an end.
    """
    if schedule == "constant":
        return optimizer
    if (last := steps()) == float("inf"):
        raise BenchError(f"outer_schedule={schedule!r} needs an end: give the Trainer max_steps")
    if schedule == "cosine":
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, int(last))
    else:
        falling = torch.optim.lr_scheduler.PolynomialLR(optimizer, int(last), power=1)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": falling, "interval": "step"}}
