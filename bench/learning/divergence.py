"""Where a loss that is not finite came from: which task, and after which inner step."""

import torch

from bench.base.errors import Diverged, DivergedElsewhere
from bench.tasks.episode import MetaBatch, split_by_shape


def check(learner, loss: torch.Tensor, batch: MetaBatch, iteration: int) -> None:
    """Refuses a loss that is not finite.

    Args:
        learner: the :class:`bench.learning.learner.MetaLearner` that is trained.
        loss: of the meta-batch.
        batch: the meta-batch.
        iteration: its number, from 1.

    Raises:
        Diverged: names iteration, task and inner step; on all devices, if it is so on any: none is
            left waiting for the others.
    """
    finite = bool(torch.isfinite(loss))
    if learner.trainer.strategy.reduce_boolean_decision(finite, all=True):
        return
    if finite:
        raise DivergedElsewhere(
            f"meta-iteration {iteration}: the loss of another device is not finite: choose a "
            "smaller inner_lr"
        )
    where = f"meta-iteration {iteration}: the loss is {float(loss):g}"
    weights = [n for n, p in learner.named_parameters() if not p.isfinite().all()]
    if weights:
        raise Diverged(
            f"{where}, as {weights[0]} was not finite after the iteration before: choose a smaller "
            "outer_lr or inner_lr"
        )
    tasks = 0
    for episode in split_by_shape(batch):
        outputs = learner.evaluate(episode)
        for step in range(outputs.shape[1]):
            each = learner.mean_loss(outputs[:, step], episode.query_y, episode.query_w)
            if not each.isfinite().all():
                task = int((~each.isfinite()).nonzero()[0])
                number = "" if episode.index is None else f" (episode {int(episode.index[task])})"
                raise Diverged(
                    f"{where}: task {tasks + task}{number} is no longer finite after inner step "
                    f"{step} of {outputs.shape[1] - 1}: choose a smaller inner_lr"
                )
        tasks += len(episode.query_y)
    raise Diverged(f"{where}, though every task's query loss is finite: choose a smaller inner_lr")
