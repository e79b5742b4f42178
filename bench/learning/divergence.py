"""Where a loss that is not finite came from: which task, after which inner step, of which rate."""

import torch

from bench.base.errors import Diverged, DivergedElsewhere
from bench.tasks.episode import MetaBatch, split_by_shape

# A loss before any inner step, in nats or squares of targets, beyond which the weights have
# diverged from iteration to iteration, though they and the loss are still finite.
LARGE = 1e6
EITHER = "outer_lr or inner_lr"


class Watch:
    """Looks at the loss of every meta-iteration: at once, on a GPU one iteration later.

    To look at once, a GPU would have nothing to do after each iteration until Python has seen the
    loss and launched the next. One iteration later the weights no longer tell which task it was.

    Args:
        later: whether it looks later; None: on a GPU.
    """

    def __init__(self, later: bool | None = None):
        self.later = later
        self._before: tuple[int, torch.Tensor, torch.cuda.Event | None] | None = None

    def begin(self) -> None:
        """Forgets a training that was broken off."""
        self._before = None

    def see(self, learner, loss: torch.Tensor, batch: MetaBatch, iteration: int) -> None:
        """Looks at a loss, or at the one before; see :func:`check`."""
        if not (loss.is_cuda if self.later is None else self.later):
            check(learner, loss, batch, iteration)
            return
        before, self._before = self._before, (iteration, *_on_its_way(torch.isfinite(loss)))
        self._judge(learner, before)

    def end(self, learner) -> None:
        """Looks at the last loss, if nobody has yet."""
        before, self._before = self._before, None
        self._judge(learner, before)

    def _judge(self, learner, before: tuple | None) -> None:
        if before is None:
            return
        iteration, finite, arrived = before
        if arrived is not None:
            arrived.synchronize()
        if not _finite_everywhere(learner, bool(finite), iteration):
            raise Diverged(
                f"meta-iteration {iteration}: the loss is not finite: "
                f"{_rates(learner, EITHER)}; on a GPU it is seen one iteration later: with "
                "accelerator=cpu the message names task and inner step"
            )


def _on_its_way(flag: torch.Tensor) -> tuple[torch.Tensor, torch.cuda.Event | None]:
    """A flag where Python can read it, and what says that it has arrived there."""
    if not flag.is_cuda:
        return flag, None
    there = torch.empty((), dtype=torch.bool, pin_memory=True).copy_(flag, non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record()
    return there, arrived


def check(learner, loss: torch.Tensor, batch: MetaBatch, iteration: int) -> None:
    """Refuses a loss that is not finite.

    Args:
        learner: the :class:`bench.learning.learner.MetaLearner` that is trained.
        loss: of the meta-batch.
        batch: the meta-batch.
        iteration: its number, from 1.

    Raises:
        Diverged: names iteration, task and inner step, and the rate to lower; on all devices, if it
            is so on any: none is left waiting for the others.
    """
    if _finite_everywhere(learner, bool(torch.isfinite(loss)), iteration):
        return
    either = _rates(learner, EITHER)
    where = f"meta-iteration {iteration}: the loss is {float(loss):g}"
    weights = [n for n, p in learner.named_parameters() if not p.isfinite().all()]
    if weights and iteration == 1:
        raise Diverged(f"{where}, as {weights[0]} is not finite from the start: check the network")
    if weights:
        raise Diverged(
            f"{where}, as {weights[0]} was not finite after the iteration before: {either}"
        )
    tasks = 0
    for episode in split_by_shape(batch):
        outputs = learner.evaluate(episode)
        losses = [
            learner.mean_loss(outputs[:, step], episode.query_y, episode.query_w)
            for step in range(outputs.shape[1])
        ]
        for step, each in enumerate(losses):
            if not each.isfinite().all():
                task = int((~each.isfinite()).nonzero()[0])
                number = "" if episode.index is None else f" (episode {int(episode.index[task])})"
                cause = _cause(learner, iteration, step, len(losses) - 1, float(losses[0][task]))
                raise Diverged(f"{where}: task {tasks + task}{number} {cause}")
        tasks += len(episode.query_y)
    raise Diverged(f"{where}, though every task's query loss is finite: {either}")


def _finite_everywhere(learner, finite: bool, iteration: int) -> bool:
    """Whether the losses of all devices are finite; asked by all of them at once.

    Raises:
        DivergedElsewhere: if this one's is, and that of another is not.
    """
    if learner.trainer.strategy.reduce_boolean_decision(finite, all=True):
        return True
    if finite:
        raise DivergedElsewhere(
            f"meta-iteration {iteration}: the loss of another device is not finite: "
            f"{_rates(learner, EITHER)}"
        )
    return False


def _cause(learner, iteration: int, step: int, steps: int, first: float) -> str:
    """What became of a task, and what to do.

    Args:
        learner: the learner.
        iteration: number of the meta-iteration, from 1.
        step: after which inner step its query loss is not finite.
        steps: how many inner steps there are.
        first: its query loss before any inner step.
    """
    if step == 0:
        before = " before any inner step" if steps else ""
        if iteration == 1:
            return f"is not finite{before} or iteration: check the data and the network"
        return f"is not finite{before}: {_rates(learner, 'outer_lr')}"
    rate = "outer_lr" if iteration > 1 and first > LARGE else "inner_lr"
    return (
        f"is no longer finite after inner step {step} of {steps} (its query loss was {first:.3g} "
        f"before the first): {_rates(learner, rate)}"
    )


def _rates(learner, names: str) -> str:
    """The remedy; not every algorithm has an inner loop."""
    return f"choose a smaller {names if 'inner_lr' in learner.hparams else 'outer_lr'}"
