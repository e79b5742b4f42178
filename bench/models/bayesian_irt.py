"""Item response theory with normal priors, whose ability is found by steps that need no rate."""

import torch
from torch import Tensor, nn

from bench.models.irt import DISCRIMINATION_SD, EASINESS_SD, GROWTH_TIME, IRT, ItemParameters
from bench.tasks.episode import TaskSpec
from bench.tasks.questions import ITEM, POSITION

UNKNOWN_SD = 0.05  # of discriminations by abilities that no answers speak for, to tell them apart


class BayesianIRT(IRT):
    """:class:`bench.models.irt.IRT` with priors on the ability and on the items.

    Abilities are standard normal, an item's discriminations and easiness normal around those of the
    average item, which are learned and start at 1 in the first dimension and at 0 in all others
    (hierarchical IRT; Fox, "Bayesian Item Response Modeling", 2010, section 2.3). So items that
    few have answered are taken to be like the others, and an item says from the start which way
    it moves the ability.

    So is growth, standard normal in a unit of time that is learned. That starts at 50 questions, or
    at the longest history: in a shorter unit growth would outweigh all else known of a student.

    Predictions are means over what is not known of the ability, as far as that helps: ``doubt`` is
    learned, 1 for the mean over a normal density, 0 for the likeliest ability alone, by which
    students of a few kinds are better predicted.

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
        self.pace = nn.Parameter(torch.ones(1)) if growth else None
        self.doubt = nn.Parameter(torch.ones(1))

    @torch.no_grad()
    def start_at(
        self,
        fitted: ItemParameters,
        discrimination: Tensor,
        questions: Tensor,
        factors: Tensor,
        longest: int,
    ) -> None:
        """Sets the items to those of fitted models, and the unit of time to a history's length.

        Args:
            fitted: easiness and discrimination by the first ability, of items and features.
            discrimination: ``[1]`` of the average item.
            questions: ``[questions, columns]`` that have the factors.
            factors: ``[questions, found]`` discriminations by the next abilities; questions of one
                number, as new items have, get their mean.
            longest: questions of the longest history.
        """
        easiness, by_first = fitted.own.weight.T
        average, own, found = easiness.mean(), self.items.own.weight, factors.shape[1]
        self.average[0], self.average[-1] = discrimination[0], average
        own[:, 0], own[:, -1] = by_first, easiness - average
        number = questions[:, ITEM].long()
        count = torch.bincount(number, minlength=len(own)).clamp(min=1)[:, None]
        total = own.new_zeros(len(own), found).index_add(0, number, factors.to(own))
        own[:, 1 : 1 + found] = total / count
        own[:, 1 + found : -1] *= UNKNOWN_SD / DISCRIMINATION_SD
        if fitted.effects is not None:
            self.items.effects[:, -1], self.items.effects[:, 0] = fitted.effects.T
        if self.growth is not None:
            self.pace.fill_(min(1.0, GROWTH_TIME / max(longest, 1)))

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
        return torch.cat([a, a * self.elapsed(x[..., POSITION, None])], -1)

    def elapsed(self, position: Tensor) -> Tensor:
        """For how long ability has grown after so many questions, in the learned unit."""
        return self.pace * super().elapsed(position)

    def minus_log_prior(self) -> Tensor:
        """Minus the log density of the items, but for a constant."""
        numbers = [p for p in self.items.parameters()]  # the items' own, and the features' effects
        widths = torch.full_like(self.average, DISCRIMINATION_SD)
        widths[-1] = EASINESS_SD
        return sum((p / widths).square().sum() for p in numbers) / 2
