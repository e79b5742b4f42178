"""How long evaluating a meta-batch takes, beside a training step of the same tasks."""

import time
from collections.abc import Callable

import numpy as np
import torch

from bench.checks.speed import torch_parts
from bench.checks.speed.contestants import maml_bench
from bench.checks.speed.workloads import Workload

SECONDS = 1.0  # of each in a round
TRAINING = "second-order training step"


def measure(workload: Workload, rounds: int) -> dict[str, list[float]]:
    """Seconds of each, in turn, with the engine of short runs and as many threads as there are.

    Args:
        workload: network, tasks and inner steps.
        rounds: turns of each.

    Returns:
        By what is done, ``[rounds]``: second-order training step, evaluation after every inner
        step (as at test), evaluation after the last one alone (as at validation).
    """
    does = _parts(workload)
    found: dict[str, list[float]] = {name: [] for name in does}
    for call in does.values():
        call()
    for _ in range(rounds):
        for name, call in does.items():
            found[name].append(_timed(call))
    return found


def shares(found: dict[str, list[float]]) -> dict[str, float]:
    """Each as a part of the training step: median over the rounds."""
    training = found[TRAINING]
    return {n: float(np.median(np.divide(v, training))) for n, v in found.items()}


def _parts(workload: Workload) -> dict[str, Callable[[], object]]:
    net, learner, episode = maml_bench.parts(workload, 2, "float32")
    _, train = torch_parts.functions(net, lambda: learner.meta_step(episode).backward())

    def evaluate(every_step: bool) -> torch.Tensor:
        with torch.inference_mode():  # as a Trainer has it
            return learner.evaluate(episode, every_step)

    return {
        TRAINING: train,
        "evaluation after every inner step": lambda: evaluate(True),
        "evaluation after the last alone": lambda: evaluate(False),
    }


def _timed(call: Callable[[], object]) -> float:
    count, start = 0, time.perf_counter()
    while not count or time.perf_counter() - start < SECONDS:
        call()
        count += 1
    return (time.perf_counter() - start) / count
