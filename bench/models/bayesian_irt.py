"""Item response theory with normal priors, whose ability is found by steps that need no rate."""

import torch
from torch import Tensor, nn

from bench.models.irt import DISCRIMINATION_SD, EASINESS_SD, GROWTH_TIME, IRT
from bench.tasks.episode import TaskSpec
from bench.tasks.questions import POSITION


class BayesianIRT(IRT):
    """:class:`bench.models.irt.IRT` with priors on the ability and on the items.

    Abilities are standard normal, an item's discriminations and easiness normal around those of the
    average item, which are learned and start at 1 in the first dimension and at 0 in all others
    (hierarchical IRT; Fox, "Bayesian Item Response Modeling", 2010, section 2.3). So items that
    few have answered are taken to be like the others, and an item says from the start which way
    it moves the ability.

    Args:
        spec: tasks whose inputs are questions to students.
        dimensions: of the ability.
        growth: whether ability grows with time, see :class:`bench.models.irt.IRT`.
    """

    recordable = True

    def __init__(self, spec: TaskSpec, dimensions: int = 5, growth: bool = False):
        # Nearly all move the first ability the same way, as the prior has it. A narrower one by the
        # other abilities takes different skills for one, and is too sure of each.
        super().__init__(spec, dimensions, growth, spread=DISCRIMINATION_SD)
        self.average = nn.Parameter(torch.eye(1, dimensions + 1)[0])

    def item_parameters(self, x: Tensor) -> Tensor:
        """Discriminations and easiness of questions, ``[..., dimensions + 1]``."""
        return super().item_parameters(x) + self.average

    def slopes(self, x: Tensor) -> Tensor:
        """How log-odds of questions depend on what adapts, ``[..., adapting numbers]``.

        They are linear in it: first the ability, then its growth.
        """
        a = self.item_parameters(x)[..., :-1]
        if self.growth is None:
            return a
        return torch.cat([a, a * x[..., POSITION, None] / GROWTH_TIME], -1)

    def minus_log_prior(self) -> Tensor:
        """Minus the log density of the items, but for a constant."""
        numbers = [p for p in self.items.parameters()]  # the items' own, and the features' effects
        widths = torch.full_like(self.average, DISCRIMINATION_SD)
        widths[-1] = EASINESS_SD
        return sum((p / widths).square().sum() for p in numbers) / 2
