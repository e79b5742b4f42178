"""iMAML: the meta-gradient of a solved inner problem, without the way to its solution."""

from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from bench.base import arguments
from bench.base.errors import BenchError
from bench.learning import second_derivatives
from bench.learning.gradient_based import GradientBased
from bench.learning.inner_loop import Fast
from bench.tasks.episode import Episode, MetaBatch


class Errors(NamedTuple):
    """How far the approximations of :class:`IMAML` are from what they stand for.

    Attributes:
        inner: ``[tasks]`` the length of the gradient that the inner steps leave of the inner
            problem, as a share of the support loss's: 0 where it is solved.
        solve: ``[tasks]`` the length of ``A u - v`` after conjugate gradients, as a share of that
            of ``v``: 0 where the linear system is solved.
    """

    inner: Tensor
    solve: Tensor


class IMAML(GradientBased):
    """Implicit MAML: inner steps are kept near the start, and the meta-gradient is implicit.

    Inner problem ``phi = argmin L_support(phi) + strength / 2 |phi - theta|^2``, by gradient
    descent; meta-gradient ``(I + H / strength)^-1 grad L_query(phi)`` with ``H`` the Hessian of
    ``L_support`` at ``phi``, by conjugate gradients with Hessian-vector products. The memory does
    not grow with the inner steps. Rajeswaran, Finn, Kakade and Levine, "Meta-Learning with Implicit
    Gradients", NeurIPS 2019 (arXiv:1909.04630), lemma 1 and algorithms 1 and 2. Parameters that do
    not adapt get the implicit gradient too, which the paper has no need of.

    It is exact where both problems are solved. By how much they are not is logged at each
    meta-iteration, ``train/inner_error`` and ``train/solve_error``; see :meth:`errors`.

    What differs from the authors' code: there the inner steps are on the support loss alone, with
    one step of the regulariser after them, and the matrix of the system is by default
    ``2 I + H / (strength + 10)``; here both are the paper's. Conjugate gradients stop for a task at
    a direction of negative curvature, where the inner problem has no minimum.

    All other arguments are those of :class:`bench.learning.gradient_based.GradientBased`.

    Args:
        order: None: it has none.
        inner_lr: inner learning rate.
        inner_steps: gradient steps on the inner problem while training: 16 (5-way Omniglot) or 25
            (20-way) in the paper.
        strength: of the pull towards the start, 2 for Omniglot and 0.5 for miniImageNet in the
            paper.
        cg_steps: of conjugate gradients, 5 in the paper.
        head: ``"learned"``, or ``"zero"``: at zero in each task.
        **kwargs: see :class:`bench.learning.gradient_based.GradientBased`.
    """

    label = "iMAML"
    search = {"strength": ("log", 0.1, 10.0)}

    def __init__(
        self,
        order: None = None,
        inner_lr: float = 0.1,
        inner_steps: int = 16,
        strength: float = 2.0,
        cg_steps: int = 5,
        head: Literal["learned", "zero"] = "learned",
        **kwargs,
    ):
        super().__init__(
            order=order, inner_lr=inner_lr, inner_steps=inner_steps, head=head, **kwargs
        )
        if not strength > 0:
            raise BenchError(f"strength={strength!r}: give a number above 0")
        arguments.require_at_least(0, cg_steps=cg_steps)
        self._errors: list[Errors] = []  # of the parts of this meta-batch

    def support_loss(self, fast: Fast, episode: Episode, step: int) -> Tensor:
        """The inner problem: the support loss and the pull towards the start, ``[tasks]``."""
        start = self.start(episode)
        apart = sum((v - start[n].detach()).square().flatten(1).sum(1) for n, v in fast.items())
        return super().support_loss(fast, episode, step) + self.hparams["strength"] / 2 * apart

    def meta_gradient(self, episode: Episode, parameters: dict[str, Tensor]) -> list[Tensor | None]:
        """The query loss at the inner solution and the implicit gradient, summed over tasks."""
        adapting = self.adapting()
        shared = {n: p for n, p in parameters.items() if n.removeprefix("net.") not in adapting}
        loss, gradient, errors = self._implicit(episode, shared)
        self._errors.append(errors)
        prior = len(episode.query_y) * self.prior
        if isinstance(prior, Tensor):
            loss, by_prior = loss + prior.detach(), gradients(prior, parameters)
            gradient = {n: v + by_prior[n] for n, v in gradient.items()}
        return [loss, *(gradient[n] for n in parameters)]

    def errors(self, episode: Episode) -> Errors:
        """How far from exact the meta-gradient of these tasks is."""
        return self._implicit(episode, {})[2]

    def training_step(self, batch: MetaBatch, batch_idx: int) -> Tensor:
        """As of every algorithm, with the errors of the approximation in the log."""
        self._errors.clear()
        loss = super().training_step(batch, batch_idx)
        inner, solve = (torch.cat(part).mean() for part in zip(*self._errors))
        tasks = sum(len(errors.inner) for errors in self._errors)
        self.log_dict({"train/inner_error": inner, "train/solve_error": solve}, batch_size=tasks)
        return loss

    @torch.enable_grad()
    def _implicit(
        self, episode: Episode, shared: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor], Errors]:
        """The summed query loss, its implicit gradient by name, and how far from exact it is."""
        strength = self.hparams["strength"]
        steps = self.adapted(episode, self.hparams["inner_steps"], order=0)
        fast = {n: v.detach().requires_grad_() for n, v in deque(steps, maxlen=1).pop().items()}
        outputs = self.query_outputs(fast, episode)
        loss = self.mean_loss(outputs, episode.query_y, episode.query_w).sum()
        right = gradients(loss, fast | shared)
        with second_derivatives.chosen(self.net), second_derivatives.missing_are_named():
            support_loss = super().support_loss(fast, episode, 0).sum()
            slope = gradients(support_loss, fast, create_graph=True)

            def system(along: Fast) -> Fast:
                curved = gradients(_dot(slope, along).sum(), fast, retain_graph=True)
                return {n: v + curved[n] / strength for n, v in along.items()}

            own = {n: right[n] for n in fast}
            solution, solve = conjugate_gradients(system, own, self.hparams["cg_steps"])
            mixed = gradients(_dot(slope, solution).sum(), shared) if shared else {}
        found = {f"net.{n}": u.sum(0) for n, u in solution.items()}
        found |= {n: right[n] - g / strength for n, g in mixed.items()}
        start = self.start(episode)
        left = {n: g.detach() + strength * (fast[n] - start[n]).detach() for n, g in slope.items()}
        inner = _share(_dot(left, left), _dot(slope, slope).detach())
        return loss.detach(), found, Errors(inner, solve)


def gradients(loss: Tensor, by: Fast, **options) -> Fast:
    """The gradient of a scalar by each of some tensors; zeros where it does not depend on one."""
    found = torch.autograd.grad(loss, list(by.values()), materialize_grads=True, **options)
    return dict(zip(by, found))


@torch.no_grad()
def conjugate_gradients(
    system: Callable[[Fast], Fast], right: Fast, steps: int
) -> tuple[Fast, Tensor]:
    """Solves ``A u = v`` for each task (Hestenes and Stiefel 1952).

    Args:
        system: multiplies by ``A``, symmetric.
        right: ``v``, name to ``[tasks, ...]``.
        steps: how many products with ``A``.

    Returns:
        ``u``, and the length of ``A u - v`` as a share of that of ``v``, ``[tasks]``.
    """
    u = {n: torch.zeros_like(v) for n, v in right.items()}
    rest, along = right, right
    first = square = _dot(rest, rest)
    goes_on = torch.ones_like(first, dtype=torch.bool)
    for _ in range(steps):
        with torch.enable_grad():
            product = system(along)
        curvature = _dot(along, product)
        goes_on = goes_on & (curvature > 0)
        length = torch.where(goes_on, square / curvature, 0)
        u = {n: v + _each(length, v) * along[n] for n, v in u.items()}
        rest = {n: v - _each(length, v) * product[n] for n, v in rest.items()}
        before, square = square, _dot(rest, rest)
        turn = torch.where(before > 0, square / before, 0)
        along = {n: v + _each(turn, v) * along[n] for n, v in rest.items()}
    return u, _share(square, first)


def _dot(a: Fast, b: Fast) -> Tensor:
    """The inner product over all parameters of each task, ``[tasks]``."""
    return sum((v * b[n]).flatten(1).sum(1) for n, v in a.items())


def _share(square: Tensor, of: Tensor) -> Tensor:
    """A length as a share of another, both squared; 0 of nothing."""
    return torch.where(of > 0, square / of, 0).sqrt()


def _each(values: Tensor, like: Tensor) -> Tensor:
    """A number of each task, in a shape that broadcasts."""
    return values.view(-1, *[1] * (like.dim() - 1))
