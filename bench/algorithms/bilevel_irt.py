"""Meta-learned item response theory: the ability adapts, the items learn how best it does."""

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bench.algorithms.two_pl import TwoPL
from bench.base.errors import BenchError
from bench.learning.direct_fit import all_answers, has_answers
from bench.learning.gradient_based import GradientBased, InnerLoss
from bench.learning.inner_loop import Fast
from bench.learning.item_factors import principal_factors
from bench.learning.outer_schedule import OuterSchedule
from bench.learning.student_learner import rows_of
from bench.models.bayesian_irt import BayesianIRT
from bench.models.irt import DISCRIMINATION_SD
from bench.tasks.episode import Episode, MetaBatch
from bench.tasks.questions import POSITION

LAST_STEPS = 20  # of the fit that items start at: training goes on from there


class BilevelIRT(GradientBased):
    """MAML on an IRT model of which the ability alone adapts.

    The inner level fits a student's ability to the answers shown, the outer level fits what items
    measure and how easy they are to the answers that follow from it: Ghosh and Lan, "BOBCAT:
    Bilevel Optimization-Based Computerized Adaptive Testing", IJCAI 2021 (arXiv:2108.07386),
    equations 1 and 2, with the items of every question in place of a question selector.

    With ``order=2`` items also learn how they move the ability (what they teach about a student),
    with ``order=1`` only how they are answered by a student of given ability.

    With the model ``"bayesian_irt"`` the inner level finds the likeliest ability under a standard
    normal prior, by steps that are scaled by an upper bound of the curvature (Böhning and Lindsay
    1988, "Monotonicity of quadratic-approximation algorithms", equation 2.2): none of them
    overshoots, however many answers there are, and the outer level adds the prior of the items.
    These start where fitted models have them, with any data module that offers all its training
    answers: easiness and discrimination by the first ability as in 2PL, those by the others as
    principal factors of what it leaves unexplained, so that a short training begins with what is
    known without one (:mod:`bench.learning.item_factors`).
    With ``"irt"`` they are plain gradient steps without priors, as in the paper, and ``inner_lr``
    has to fit the number of answers.

    Args:
        model: ``"bayesian_irt"``, ``"irt"``, or another model that says what ``adapts``.
        inner_lr: length of a step, 1 of the scaled ones; of gradient steps the rate of the ability,
            for one answer if ``inner_loss="sum"``: about 0.1.
        inner_steps: steps on the answers shown.
        inner_loss: see :class:`bench.learning.gradient_based.GradientBased`.
        outer_lr: Adam's learning rate for the items.
        outer_schedule: ``"cosine"`` lets it fall to zero over the whole run.
        **kwargs: see :class:`bench.learning.gradient_based.GradientBased`.
    """

    label = "bilevel IRT"
    kinds = ("answers",)
    recordable = True
    stateless = True
    search = {"inner_lr": ("log", 0.3, 1.5), "outer_lr": ("log", 1e-3, 0.05)}

    def __init__(
        self,
        model: str | nn.Module | None = "bayesian_irt",
        inner_lr: float = 1.0,
        inner_steps: int = 5,
        inner_loss: InnerLoss = "sum",
        outer_lr: float = 0.01,
        outer_schedule: OuterSchedule = "cosine",
        **kwargs: Any,
    ):
        super().__init__(
            model=model,
            inner_lr=inner_lr,
            inner_steps=inner_steps,
            inner_loss=inner_loss,
            outer_lr=outer_lr,
            outer_schedule=outer_schedule,
            **kwargs,
        )

    @property
    def has_prior(self) -> bool:
        """Whether the ability has a standard normal prior, and steps are scaled."""
        return isinstance(self.net, BayesianIRT)

    def configure_parameters(self) -> None:
        """Checks that the loss is what the prior is added to.

        Raises:
            BenchError: if it is another than the sum over the answers.
        """
        super().configure_parameters()
        if self.has_prior and self.hparams["inner_loss"] != "sum":
            raise BenchError(
                f"inner_loss={self.hparams['inner_loss']!r}: a model with a prior needs "
                "inner_loss='sum'"
            )

    def training_step(self, batch: MetaBatch, batch_idx: int) -> Tensor:
        """One outer step; before the first, items are set to where they start."""
        anew = self.has_prior and self.pretrained is None
        if self.global_step == 0 and anew and has_answers(self):
            self.start_items()
        return super().training_step(batch, batch_idx)

    def start_items(self) -> None:
        """Sets the items to those of 2PL, and to factors of what it leaves unexplained."""
        fitted, answers = TwoPL(spec=self.spec), all_answers(self)
        fitted.configure_model()
        fitted.to(answers.questions)
        fitted.solve(answers, LAST_STEPS)
        others = len(self.net.ability) - 1
        factors = principal_factors(answers, fitted.probabilities, others, DISCRIMINATION_SD)
        start = fitted.net
        self.net.start_at(
            start.items, start.discrimination, answers.questions, factors, answers.longest
        )

    def support_loss(self, fast: Fast, episode: Episode, step: int) -> Tensor:
        """Minus the log posterior density of the ability, ``[tasks]``; or the loss alone."""
        loss = super().support_loss(fast, episode, step)
        if not self.has_prior:
            return loss
        start = self.adapting()
        return loss + sum((v - start[n]).square().sum(-1) for n, v in fast.items()) / 2

    def inner_optimizer(self, episode: Episode) -> Callable[[Fast, Fast, int], Fast]:
        """Scaled steps, or plain gradient steps."""
        if not self.has_prior:
            return super().inner_optimizer(episode)
        scale = None if self.recomputes else self.scale(episode)

        def update(fast: Fast, gradients: Fast, step: int) -> Fast:
            slope = torch.cat([gradients[n] for n in fast], -1)
            by = self.scale(episode) if scale is None else scale
            move = (by @ slope[..., None])[..., 0].split([v.shape[-1] for v in fast.values()], -1)
            return {n: v - self.rate(n, step) * m for (n, v), m in zip(fast.items(), move)}

        return update

    def scale(self, episode: Episode) -> Tensor:
        """The inverse of the bound of the curvature, ``[tasks, adapting, adapting]``.

        ``p (1 - p)`` is never above 1/4.
        """
        scale = torch.linalg.inv(self.curvature(episode, 0.25))
        return scale if self.hparams["order"] == 2 else scale.detach()

    def curvature(self, episode: Episode, variance: Tensor | float) -> Tensor:
        """That of minus the log posterior, ``1 + sum variance slope slope'`` over answers shown.

        Args:
            episode: students.
            variance: ``[tasks, support]`` of each answer, ``p (1 - p)``; or one number.

        Returns:
            ``[tasks, adapting, adapting]``.
        """
        slopes, w = self.net.slopes(episode.support_x), episode.support_w
        weight = slopes.new_ones(slopes.shape[:2]) if w is None else w.to(slopes.dtype)
        counted = slopes * (weight * variance)[..., None]
        unit = torch.eye(slopes.shape[-1], dtype=slopes.dtype, device=slopes.device)
        return slopes.transpose(1, 2) @ counted + unit

    def query_outputs(self, fast: Fast, episode: Episode) -> Tensor:
        """Log-odds of a right answer, ``[tasks, query, 1]``.

        Those of the mean chance over what is not known of the ability, whose density is taken for
        normal around the adapted one (MacKay, "The Evidence Framework Applied to Classification
        Networks", Neural Computation 4, 1992): the less is known, the closer to even, as far as the
        network's ``doubt`` says. A network without a prior has no such density.
        """
        outputs = super().query_outputs(fast, episode)
        if not self.has_prior:
            return outputs
        p = self.support_outputs(fast, episode)[..., 0].sigmoid()
        precision = self.curvature(episode, p * (1 - p))
        precision = precision if self.hparams["order"] == 2 else precision.detach()
        asked = self.net.slopes(episode.query_x)
        spread = torch.linalg.solve(precision, asked.transpose(1, 2)).transpose(1, 2)
        variance = (asked * spread).sum(-1, keepdim=True)
        return outputs / (1 + math.pi / 8 * self.net.doubt.square() * variance).sqrt()

    def ability(self, episode: Episode) -> Tensor:
        """The ability of each student after the last question, ``[tasks, dimensions]``."""
        fast = deque(self.adapted(episode, self.test_steps, order=0), maxlen=1).pop()
        ability = fast["ability"]
        if "growth" not in fast:
            return ability
        last = rows_of(episode).x[..., POSITION].amax(1)
        return ability + fast["growth"] * self.net.elapsed(last[:, None])
