"""Meta-learned item response theory: the ability adapts, the items learn how best it does."""

from collections import deque
from typing import Any

from torch import Tensor, nn

from bench.learning.gradient_based import GradientBased, InnerLoss
from bench.learning.outer_schedule import OuterSchedule
from bench.learning.student_learner import rows_of
from bench.models.irt import GROWTH_TIME
from bench.tasks.episode import Episode
from bench.tasks.questions import POSITION


class BilevelIRT(GradientBased):
    """MAML on an IRT model of which the ability alone adapts.

    The inner level fits a student's ability to the answers shown, the outer level fits what items
    measure and how easy they are to the answers that follow from it: Ghosh and Lan, "BOBCAT:
    Bilevel Optimization-Based Computerized Adaptive Testing", IJCAI 2021 (arXiv:2108.07386),
    equations 1 and 2, with the items of every question in place of a question selector.

    With ``order=2`` items also learn how they move the ability (what they teach about a student),
    with ``order=1`` only how they are answered by a student of given ability.

    Args:
        model: ``"irt"``, or another model that says what ``adapts``.
        inner_lr: inner learning rate of the ability, for one answer if ``inner_loss="sum"``.
        inner_steps: gradient steps on the answers shown.
        inner_loss: see :class:`bench.learning.gradient_based.GradientBased`.
        outer_lr: Adam's learning rate for the items.
        outer_schedule: ``"cosine"`` lets it fall to zero over the whole run.
        **kwargs: see :class:`bench.learning.gradient_based.GradientBased`.
    """

    label = "bilevel IRT"
    kinds = ("answers",)
    recordable = True
    search = {"inner_lr": ("log", 1e-2, 1.0), "outer_lr": ("log", 3e-3, 0.1)}

    def __init__(
        self,
        model: str | nn.Module | None = "irt",
        inner_lr: float = 0.05,
        inner_steps: int = 5,
        inner_loss: InnerLoss = "sum",
        outer_lr: float = 0.03,
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

    def ability(self, episode: Episode) -> Tensor:
        """The ability of each student after the last question, ``[tasks, dimensions]``."""
        fast = deque(self.adapted(episode, self.test_steps, order=0), maxlen=1).pop()
        ability = fast["ability"]
        if "growth" not in fast:
            return ability
        last = rows_of(episode).x[..., POSITION].amax(1)
        return ability + fast["growth"] * last[:, None] / GROWTH_TIME
