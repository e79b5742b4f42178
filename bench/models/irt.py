"""Multidimensional item response theory, in which the student's ability is what adapts."""

import torch
from torch import Tensor, nn

from bench.base import arguments
from bench.base.errors import BenchError
from bench.tasks.episode import TaskSpec
from bench.tasks.questions import FEATURES, ITEM, POSITION

# Standard deviations of the priors of an item's easiness and discrimination around those of the
# average item, where abilities have 1: weak ones, soon outweighed by the answers to an item.
EASINESS_SD, DISCRIMINATION_SD = 1.0, 0.35
GROWTH_TIME = 50  # questions: the unit of time of growth, so that its rate is of ability's size


class IRT(nn.Module):
    """The log-odds of a right answer are ``a_item . theta + d_item``, theta the student's ability.

    Compensatory multidimensional IRT (Reckase, "Multidimensional Item Response Theory", 2009,
    equation 4.5). Only the ability adapts to a student's answers; what an item measures (a) and how
    easy it is (d) are shared, as in BOBCAT (Ghosh and Lan 2021, arXiv:2108.07386, equation 1) and
    in CAVIA (Zintgraf et al. 2019, arXiv:1810.03642). Both depend linearly on the item's features
    too, through which items unknown in training work.

    Args:
        spec: tasks whose inputs are questions to students.
        dimensions: of the ability.
        growth: whether ability grows with time, ``theta(t) = theta_0 + theta_1 t``, at a rate
            ``theta_1`` of the student's own; t counts the questions met, in units of 50.
        spread: standard deviation of the initial a.
    """

    recordable = True
    adapts = ("ability", "growth")

    def __init__(
        self, spec: TaskSpec, dimensions: int = 5, growth: bool = False, spread: float = 0.7
    ):
        super().__init__()
        if not spec.items:
            raise BenchError("irt takes questions to students, not other inputs")
        arguments.require_at_least(1, dimensions=dimensions)
        self.items = ItemParameters(spec, dimensions + 1)
        with torch.no_grad():  # the dimensions must differ to become different
            self.items.own.weight[:, :-1].normal_(std=spread)
        self.ability = nn.Parameter(torch.zeros(dimensions))
        self.growth = nn.Parameter(torch.zeros(dimensions)) if growth else None

    def forward(self, x: Tensor) -> Tensor:
        """Maps questions ``[rows, columns]`` to log-odds ``[rows, 1]``."""
        parameters = self.item_parameters(x)
        ability = self.ability
        if self.growth is not None:
            ability = ability + self.growth * self.elapsed(x[..., POSITION, None])
        return (parameters[..., :-1] * ability).sum(-1, keepdim=True) + parameters[..., -1:]

    def item_parameters(self, x: Tensor) -> Tensor:
        """Discriminations and easiness of questions, ``[..., dimensions + 1]``."""
        return self.items(x)

    def elapsed(self, position: Tensor) -> Tensor:
        """For how long ability has grown after so many questions."""
        return position / GROWTH_TIME


class ItemParameters(nn.Module):
    """A few numbers for each question: the item's own, and linear effects of its features.

    All are zero at first.

    Args:
        spec: tasks whose inputs are questions to students.
        width: how many numbers.
    """

    recordable = True

    def __init__(self, spec: TaskSpec, width: int):
        super().__init__()
        features = spec.input_shape[0] - FEATURES
        self.own = nn.Embedding(spec.items, width)
        nn.init.zeros_(self.own.weight)
        self.effects = nn.Parameter(torch.zeros(features, width)) if features else None

    def forward(self, x: Tensor) -> Tensor:
        """Maps questions ``[..., columns]`` to their numbers ``[..., width]``."""
        numbers = self.own(x[..., ITEM].long())
        return numbers if self.effects is None else numbers + x[..., FEATURES:] @ self.effects
