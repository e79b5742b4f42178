"""Algorithms that adapt by gradient steps: the one inner loop, and what each may change of it."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from bench.base import arguments
from bench.base.errors import BenchError
from bench.learning import heads, linear_chain, mixed_precision, second_derivatives
from bench.learning.heads import Head
from bench.learning.inner_loop import Fast, inner_loop
from bench.learning.learner import MetaLearner
from bench.tasks.episode import Episode

Order = Literal[1, 2]
InnerLoss = Literal["mean", "sum", "shrunk"]
STEP = ("support_loss", "support_outputs", "rate", "update", "inner_optimizer")
PSEUDO_ROWS = 4  # that a shrunk loss counts beside those of the support


class GradientBased(MetaLearner):
    """Adapts to a task by gradient steps on its support set, and learns through them.

    As it stands, it is MAML. An algorithm changes one of: which parameters adapt
    (:meth:`adapting`) and where they start (:meth:`start`, :meth:`start_head`), what is minimised
    on the support set at each step (:meth:`support_loss`), how long a step is (:meth:`rate`) or
    what it is (:meth:`update`), what is minimised by the outer loop (:meth:`loss`), or its gradient
    (:meth:`bench.learning.learner.MetaLearner.meta_gradient`). What it learns beside the network it
    adds in :meth:`bench.learning.learner.MetaLearner.configure_parameters`.

    Args:
        order: 2 differentiates through the inner loop; 1 does not, and builds no graph for it.
        inner_lr: inner learning rate, in terms of the **mean** loss over the support set. The
            loss of the MAML paper's code is ``ways`` times larger: its 0.4 for 5-way Omniglot is
            2.0 here.
        inner_steps: gradient steps on the support set while training.
        test_steps: gradient steps at validation, test and prediction; None: ``inner_steps``.
        inner_loss: ``"mean"`` or ``"sum"`` over the support rows. With the sum, more rows move the
            parameters further, as more answers of a student should; ``inner_lr`` is then the rate
            of one row. ``"shrunk"`` is the mean with four more rows whose loss is always 0: what
            few rows say is not followed as far as what many do, and many never too far.
        head: where the network's last layer starts in each task. ``"learned"``: where training has
            brought it. ``"zero"``: at zero, which treats all classes alike however many there are
            (as Meta-Dataset does). ``"prototypes"``: at the prototypes of the support set, which
            is Proto-MAML. See :mod:`bench.learning.heads`.
        recompute: with order 2, compute each inner step again in the backward pass instead of
            keeping it: memory hardly grows with the inner steps, for about a third more time.
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    search = {"inner_lr": ("log", 3e-3, 1.0)}
    queries_apart = True  # the inner loop sees the support alone
    stateless = False  # of a class with an inner_optimizer of its own: whether that has no state

    def __init__(
        self,
        order: Order = 2,
        inner_lr: float = 0.1,
        inner_steps: int = 1,
        test_steps: int | None = None,
        inner_loss: InnerLoss = "mean",
        head: Head = "learned",
        recompute: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._frozen: set[str] = set()  # by freeze(): names of the parameters that were learned
        arguments.require_at_least(0, inner_steps=inner_steps, test_steps=test_steps or 0)
        if not inner_lr >= 0:
            raise BenchError(f"inner_lr={inner_lr!r}: give a number of at least 0")

    def configure_parameters(self) -> None:
        """Freezes a head that starts anew in each task: it is no parameter to learn."""
        if self.hparams["head"] != "learned":
            heads.find(self.net, self.spec).requires_grad_(False)

    @property
    def any_ways(self) -> bool:
        """Whether the last layer starts anew in each task, of however many classes."""
        return self.hparams["head"] != "learned"

    @property
    def test_steps(self) -> int:
        """Inner steps at validation, test and prediction."""
        steps = self.hparams["test_steps"]
        return self.hparams["inner_steps"] if steps is None else steps

    def freeze(self) -> "GradientBased":
        """Lightning's step before inference: nothing is learned, and what adapts still does."""
        self._frozen = self._frozen or self._learned()
        return super().freeze()

    def unfreeze(self) -> None:
        """Undoes :meth:`freeze`: what was not learned before is not learned after."""
        frozen, self._frozen = self._frozen, set()
        super().unfreeze()
        for name, p in self.net.named_parameters() if frozen else ():
            p.requires_grad_(name in frozen)

    def _learned(self) -> set[str]:
        """Names of the parameters that require a gradient."""
        if self.net is None:
            return set()
        return {n for n, p in self.net.named_parameters() if p.requires_grad}

    def adapting(self) -> dict[str, nn.Parameter]:
        """The network's parameters that adapt, by name.

        All that require a gradient, and the head where it starts anew; of a network that names them
        in ``adapts`` (parameters, or layers with all they hold), only those. The others are shared
        by all tasks.
        """
        learned = self._learned() | self._frozen
        named = {n: p for n, p in self.net.named_parameters() if n in learned}
        adapts = getattr(self.net, "adapts", None)
        if adapts is not None:
            every_name = self.net.named_parameters(remove_duplicate=False)
            chosen = {id(p) for n, p in every_name if n in adapts or n.split(".")[0] in adapts}
            named = {n: p for n, p in named.items() if id(p) in chosen}
            if not named:
                raise BenchError(
                    f"{type(self.net).__name__}.adapts={adapts!r} names no parameter that learns"
                )
        if self.hparams["head"] == "learned":
            return named
        return named | {f"head.{n}": p for n, p in self.net.head.named_parameters()}

    def start(self, episode: Episode) -> Fast:
        """The parameters that adapt, as they start: name to ``[tasks, ...]``."""
        tasks = len(episode.support_x)
        fast = {
            **{n: _laid_out(p).expand(tasks, *p.shape) for n, p in self.adapting().items()},
            **self.start_head(episode),
        }
        if not fast:
            raise BenchError(
                f"no parameter of {type(self.net).__name__} requires a gradient, so that nothing "
                "can adapt: set requires_grad of those that are to"
            )
        return fast

    def start_head(self, episode: Episode) -> Fast:
        """The last layer of each task, if it starts anew: ``head.weight`` and ``head.bias``."""
        if self.hparams["head"] == "learned":
            return {}
        if self.hparams["head"] == "zero":
            return heads.zeros(self.net, len(episode.support_x))
        rows = self.embed(episode.support_x)
        return heads.prototypes(rows, episode.support_y, episode.support_w, self.spec.outputs)

    def support_outputs(self, fast: Fast, episode: Episode) -> Tensor:
        """Outputs for the support rows, ``[tasks, support, outputs]``."""
        outputs = self.task_outputs(fast, episode.support_x, episode.support_w)
        return self.within_ways(outputs, episode)

    def support_loss(self, fast: Fast, episode: Episode, step: int) -> Tensor:
        """What inner step number ``step`` makes smaller, ``[tasks]``."""
        return self._loss_of(self.support_outputs(fast, episode), episode)

    def _loss_of(self, outputs: Tensor, episode: Episode) -> Tensor:
        y, w = episode.support_y, episode.support_w
        loss = self.mean_loss(outputs, y, w)
        if self.hparams["inner_loss"] == "mean":
            return loss
        rows = y.shape[1] if w is None else w.sum(1)  # 0, where nothing is shown
        total = loss * rows
        return total if self.hparams["inner_loss"] == "sum" else total / (rows + PSEUDO_ROWS)

    def rate(self, name: str, step: int) -> Tensor | float:
        """Step size of a parameter at an inner step: a number, or a tensor that broadcasts."""
        return self.hparams["inner_lr"]

    def update(self, fast: Fast, gradients: Fast, step: int) -> Fast:
        """The parameters after an inner step: gradient descent (MAML, equation 1)."""
        return {n: _moved(v, self.rate(n, step), gradients[n]) for n, v in fast.items()}

    def inner_optimizer(self, episode: Episode) -> Callable[[Fast, Fast, int], Fast]:
        """What makes the inner steps of one adaptation; if it has a state, it starts anew.

        One without a state says so by :attr:`stateless`, so that its steps can be computed again.
        """
        return self.update

    @property
    def recomputes(self) -> bool:
        """Whether inner steps are computed again in the backward pass."""
        return self.hparams["recompute"]

    def adapted(self, episode: Episode, steps: int, order: int) -> Iterator[Fast]:
        """The parameters of every task after 0, 1, ..., ``steps`` steps on its support set."""
        return self.descend(self.start(episode), episode, steps, order)

    def descend(self, start: Fast, episode: Episode, steps: int, order: int) -> Iterator[Fast]:
        """The same from given parameters.

        Raises:
            BenchError: if steps that may have a state would be computed again.
        """
        recompute = self.recomputes
        own = type(self).inner_optimizer is not GradientBased.inner_optimizer
        if recompute and order == 2 and own and not self.stateless:
            raise BenchError(
                f"recompute=True computes each inner step again, and the inner_optimizer of "
                f"{type(self).__name__} may have a state: use recompute=False, or say "
                "stateless = True in the class if it has none"
            )

        def support_loss(fast: Fast, step: int) -> Tensor:
            with second_derivatives.chosen(self.net) if order == 2 else nullcontext():
                return self.support_loss(fast, episode, step)

        return inner_loop(
            support_loss,
            start,
            steps,
            self.inner_optimizer(episode),
            order,
            recompute,
            [p for p in self.parameters() if p.requires_grad] if recompute else [],
            None if recompute else self._written(start, episode),
        )

    def _written(self, start: Fast, episode: Episode) -> Callable[[Fast, int], Fast] | None:
        """A step whose derivative is written out by hand, where there is one."""
        plain = all(getattr(type(self), n) is getattr(GradientBased, n) for n in STEP)
        if not plain or not self.forward_tasks.vectorised or mixed_precision.asked_for():
            return None
        chain = linear_chain.find(self.net, episode.support_x)
        if chain is None or set(start) != set(chain.names):
            return None

        def loss(outputs: Tensor) -> Tensor:
            return self._loss_of(self.within_ways(outputs, episode), episode)

        def step(fast: Fast, order: int) -> Fast:
            rate, x = self.hparams["inner_lr"], episode.support_x
            return linear_chain.step(chain, loss, rate, x, fast, order)

        return step

    def loss(self, episode: Episode) -> Tensor:
        """Loss on the query after adaptation, ``[tasks]``."""
        steps = self.adapted(episode, self.hparams["inner_steps"], self.hparams["order"])
        fast = deque(steps, maxlen=1).pop()
        outputs, y, w = self.query_outputs(fast, episode), episode.query_y, episode.query_w
        return self.mean_loss(outputs, y, w) + self.prior

    def predict(self, episode: Episode) -> Tensor:
        """Outputs for the query after each inner step, ``[tasks, steps, query, outputs]``.

        Where ``every_step`` is False, after the last one alone.
        """
        steps = self.adapted(episode, self.test_steps, order=0)
        outputs = []
        for fast in steps if self.every_step else deque(steps, maxlen=1):
            with torch.no_grad():
                outputs.append(self.query_outputs(fast, episode))
        return torch.stack(outputs, 1)


def _moved(v: Tensor, rate: Tensor | float, gradient: Tensor) -> Tensor:
    """A parameter after a step of gradient descent; one kernel where the rate is a number."""
    if isinstance(rate, Tensor):
        return v - rate * gradient
    return torch.add(v, gradient, alpha=-rate)


def _laid_out(p: Tensor) -> Tensor:
    """A weight in memory as its gradients come from the layers for many tasks, at every step.

    Channels last for a convolution, inputs before outputs for a linear layer.
    """
    if p.dim() == 4:
        return p.contiguous(memory_format=torch.channels_last)
    return p.t().contiguous().t() if p.dim() == 2 else p
