"""What a task is: the episode, and what a network must know about episodes to fit them.

Axis names used in every docstring of the suite: tasks, support (rows to adapt on), query (rows to
predict), steps (inner steps, counted from 0 = before adaptation), ways, shots, queries (query rows
of a class, or of a student), channels, height, width, outputs.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class Episode(NamedTuple):
    """A batch of tasks, each with rows to adapt on (support) and rows to predict (query).

    Always batched: the first axis of every field is ``tasks``. A named tuple, so that Lightning
    can move it between devices.

    Attributes:
        support_x: ``[tasks, support, *input_shape]``: inputs to adapt on.
        support_y: ``[tasks, support]`` class numbers or 0/1 answers, or
            ``[tasks, support, outputs]`` regression targets.
        query_x: ``[tasks, query, *input_shape]``: inputs to predict.
        query_y: targets of the query, shaped like ``support_y``.
        support_w: ``[tasks, support]`` weights, 1 for a row that counts and 0 for padding;
            None where every row counts.
        query_w: ``[tasks, query]``, likewise.
        index: ``[tasks]`` int64, the episode's number in its split: what results are gathered,
            paired and resumed by. None for episodes made by hand.
        class_numbers: ``[tasks, ways]`` int64, which class of its split each class number of an
            episode stands for; None where that is not known.
    """

    support_x: Tensor
    support_y: Tensor
    query_x: Tensor
    query_y: Tensor
    support_w: Tensor | None = None
    query_w: Tensor | None = None
    index: Tensor | None = None
    class_numbers: Tensor | None = None


# Tasks of different shapes make a list of batches: padding would change what batch norm sees.
MetaBatch = Episode | Sequence[Episode]


def split_by_shape(batch: MetaBatch) -> list[Episode]:
    """A meta-batch as batches of tasks of one shape each."""
    return [batch] if isinstance(batch, Episode) else list(batch)


class TaskSpec(NamedTuple):
    """What a data module says about its tasks, from which the network is built.

    Plain data, so that it can be saved with a checkpoint.

    Attributes:
        kind: ``"classification"``, ``"classification_errors"`` (the same, reported as an error
            rate), ``"answers"`` (0/1 answers of a student) or ``"regression"``: a key of
            :data:`bench.tasks.objectives.OBJECTIVES`.
        input_shape: shape of one input row: ``(channels, height, width)`` of an image,
            ``(features,)`` of a vector, ``(columns,)`` of a question to a student.
        outputs: numbers that the network gives for one row: ways, or 1.
        items: how many different item numbers there are, where rows are questions to a student
            (see :mod:`bench.tasks.questions` for their columns), otherwise 0.
        skills: how many columns of such a row say which skills the item needs.
        varying_ways: whether episodes differ in their number of classes: then ``outputs`` is the
            most, and an episode's own classes are those of its support set.
    """

    kind: str
    input_shape: tuple[int, ...]
    outputs: int
    items: int = 0
    skills: int = 0
    varying_ways: bool = False

    @property
    def classifies(self) -> bool:
        """Whether targets are class numbers below ``outputs``."""
        return self.kind in ("classification", "classification_errors")


class View(NamedTuple):
    """A stretch of a list of test episodes that is scored apart: of so many answers, or a source.

    Attributes:
        shots: answers shown; 0 where it runs through all numbers (``protocol="next"``); None where
            episodes differ in it.
        first: number of its first unit: an episode, or a student asked again and again.
        episodes: how many units.
        source: where the episodes are from, if a list has episodes of several sources.
    """

    shots: int | None
    first: int
    episodes: int | None
    source: str | None = None
