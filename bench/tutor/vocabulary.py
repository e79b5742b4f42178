"""What the questions and skills of a model of students are called, as its checkpoint keeps it."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from bench.base.errors import BenchError
from bench.tasks.episode import TaskSpec
from bench.tasks.questions import FEATURES, ITEM, POSITION


class Vocabulary(NamedTuple):
    """Names and features of the questions, in the order of their numbers.

    Attributes:
        items: names of the questions.
        skills: names of the skills.
        features: ``[items, features]``, the skills (0 or 1) first.
        known: how many items have a number of their own; those that no training student met follow.
        shots: how many answers of a student the model was trained to read, at most.
        dataset: name of the data set it was trained on; None: not known.
        trained_on: how many students there were to train on; None: not known, or without end.
    """

    items: list[str]
    skills: list[str]
    features: Tensor
    known: int
    shots: int
    dataset: str | None = None
    trained_on: int | None = None

    def rows(self, number: Tensor, position: Tensor) -> Tensor:
        """Input rows ``[..., columns]`` of questions ``[...]``, at positions ``[...]``; -1: none.

        See :mod:`bench.tasks.questions` for the columns.
        """
        there = position >= 0
        x = self.features.new_zeros(*number.shape, FEATURES + self.features.shape[1])
        x[..., FEATURES:] = self.features[number] * there[..., None]
        x[..., ITEM] = (number.clamp_max(self.known) * there).to(x)  # all new ones bear one number
        x[..., POSITION] = position.to(x)
        return x

    def same_as(self, other: "Vocabulary") -> bool:
        """Whether numbers and columns mean the same."""
        return (
            self[:2] == other[:2]
            and self.known == other.known
            and torch.equal(self.features, other.features)
        )


def check(stored: Any, spec: TaskSpec) -> Vocabulary:
    """Makes sure that a stored vocabulary is whole and fits the tasks of the model.

    Raises:
        BenchError: if not.
    """
    try:
        found = Vocabulary(**stored)
        names = [*found.items, *found.skills]
        whole = (
            all(type(name) is str for name in names)
            and found.features.shape == (len(found.items), spec.input_shape[0] - FEATURES)
            and bool(found.features.isfinite().all())
            and len(found.skills) == spec.skills
            and spec.items == found.known + (len(found.items) > found.known)
            and found.shots > 0
            and isinstance(found.dataset, str | None)
            and isinstance(found.trained_on, int | None)
        )
    except (TypeError, AttributeError, IndexError):
        whole = False
    if not whole:
        raise BenchError("its list of questions and skills is damaged or of another model")
    return found
