"""Reptile: the start moves towards where a few steps of Adam lead each task."""

from collections import deque
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from bench.base import arguments
from bench.base.errors import BenchError
from bench.learning.gradient_based import GradientBased
from bench.learning.inner_loop import Fast
from bench.learning.outer_schedule import OuterSchedule
from bench.tasks.episode import Episode

BETA, EPSILON = 0.999, 1e-8  # of Adam's second moments; there are no first ones


class Reptile(GradientBased):
    """No meta-gradient: ``theta <- theta + eps * mean_t (phi_t - theta)``.

    ``phi_t`` is where some steps of Adam from ``theta`` lead on minibatches of task ``t``: Nichol,
    Achiam and Schulman, "On First-Order Meta-Learning Algorithms" (arXiv:1803.02999), algorithm 2,
    with the settings of section 6.1: no first moments (``beta1 = 0``), ``eps`` falling linearly to
    zero. A task is trained on all its rows, support and query together, as the paper trains with
    more shots than it tests with, and needs more rows than one minibatch holds. At test the support
    set alone is adapted to.

    What differs from the authors' code: Adam's second moments start anew in each task, and do not
    go on from the last; a pass deals the rows out evenly, by a permutation that depends on their
    number and on the pass alone, and no minibatch reaches into the next pass. A student's answers
    are one minibatch, as how many rows there are depends on who else is in the meta-batch.

    All other arguments are those of :class:`bench.learning.gradient_based.GradientBased`.

    Args:
        order: None: it has none.
        inner_lr: Adam's learning rate within a task.
        inner_steps: steps of Adam in training: 5 (Omniglot) or 8 (miniImageNet) in the paper.
        test_steps: steps of Adam at test, 50 in the paper.
        inner_batch: the most rows of a minibatch, 10 in the paper.
        outer_lr: ``eps``, at first.
        outer_schedule: ``"linear"`` lets it fall to zero over the whole run.
        head: ``"learned"``, or ``"zero"``: at zero in each task.
        **kwargs: see :class:`bench.learning.gradient_based.GradientBased`.
    """

    label = "Reptile"
    search = {
        "inner_lr": ("log", 3e-4, 1e-2),
        "inner_steps": ("integer", 3, 10),
        "outer_lr": ("linear", 0.1, 1.0),
    }

    def __init__(
        self,
        order: None = None,
        inner_lr: float = 1e-3,
        inner_steps: int = 5,
        test_steps: int | None = 50,
        inner_batch: int = 10,
        outer_lr: float = 1.0,
        outer_schedule: OuterSchedule = "linear",
        head: Literal["learned", "zero"] = "learned",
        **kwargs,
    ):
        super().__init__(
            order=order,
            inner_lr=inner_lr,
            inner_steps=inner_steps,
            test_steps=test_steps,
            outer_lr=outer_lr,
            outer_schedule=outer_schedule,
            head=head,
            **kwargs,
        )
        arguments.require_at_least(1, inner_batch=inner_batch)

    def configure_parameters(self) -> None:
        """Refuses a network of which a part or a prior would not count.

        Raises:
            BenchError: names the part that tasks share, or the network with a prior.
        """
        super().configure_parameters()
        if hasattr(self.net, "minus_log_prior"):
            raise BenchError(
                f"Reptile moves along no gradient, to which that of {type(self.net).__name__}'s "
                "prior could be added: use a network without one, such as mlp"
            )
        shared = self._learned() - self.adapting().keys()
        if shared:
            raise BenchError(
                "Reptile needs a network with parameters that all adapt; "
                f"{type(self.net).__name__} shares {sorted(shared)[0]}"
            )

    def support_loss(self, fast: Fast, episode: Episode, step: int) -> Tensor:
        """The loss on the step's minibatch, ``[tasks]``."""
        return super().support_loss(fast, self.minibatch(episode, step), step)

    def minibatch(self, episode: Episode, step: int) -> Episode:
        """The episode with some of its support rows, the same ones of each task."""
        rows = episode.support_y.shape[1]
        each_pass = -(-rows // self.hparams["inner_batch"])
        if each_pass == 1 or self.spec.items:
            return episode
        number, part = divmod(step, each_pass)
        order = torch.randperm(rows, generator=torch.Generator().manual_seed(number))
        chosen = order.tensor_split(each_pass)[part].to(episode.support_y.device)
        x, y, w = (
            None if v is None else v[:, chosen]
            for v in (episode.support_x, episode.support_y, episode.support_w)
        )
        return episode._replace(support_x=x, support_y=y, support_w=w)

    def inner_optimizer(self, episode: Episode) -> Callable[[Fast, Fast, int], Fast]:
        """Adam without first moments (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1)."""
        moments: Fast = {}

        def update(fast: Fast, gradients: Fast, step: int) -> Fast:
            after = {}
            for n, v in fast.items():
                square = (1 - BETA) * gradients[n].square()
                moments[n] = square + BETA * moments[n] if n in moments else square
                spread = (moments[n] / (1 - BETA ** (step + 1))).sqrt() + EPSILON
                after[n] = v - self.rate(n, step) * gradients[n] / spread
            return after

        return update

    def meta_gradient(self, episode: Episode, parameters: dict[str, Tensor]) -> list[Tensor | None]:
        """The loss on all rows after adapting to them, and ``theta - phi``, summed over tasks."""
        together = _all_rows(episode)
        steps = self.adapted(together, self.hparams["inner_steps"], order=0)
        phi = {f"net.{n}": v.detach() for n, v in deque(steps, maxlen=1).pop().items()}
        with torch.no_grad():
            fast = {n.removeprefix("net."): v for n, v in phi.items()}
            loss = super().support_loss(fast, together, 0).sum()
            return [loss, *((p - phi[n]).sum(0) for n, p in parameters.items())]

    def optimizer(self, parameters: list[Tensor]) -> Optimizer:
        """Plain steps of length ``eps``, along what :meth:`meta_gradient` gives."""
        return torch.optim.SGD(parameters, lr=self.hparams["outer_lr"])


def _all_rows(episode: Episode) -> Episode:
    """The episode with its query as further support rows."""
    w, query_w = episode.support_w, episode.query_w
    if w is not None or query_w is not None:
        rows = ((w, episode.support_y), (query_w, episode.query_y))
        one = episode.query_x.new_ones(())
        w = torch.cat([one.expand(y.shape[:2]) if v is None else v for v, y in rows], 1)
    return episode._replace(
        support_x=torch.cat([episode.support_x, episode.query_x], 1),
        support_y=torch.cat([episode.support_y, episode.query_y], 1),
        support_w=w,
    )
