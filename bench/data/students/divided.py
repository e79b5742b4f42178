"""Students whose answers, not who they are, are divided into training, validation and test."""

from typing import NamedTuple

import numpy as np

from bench.data.students.responses import Responses
from bench.data.students.responses.division import PARTS
from bench.tasks import counter_random

TRAIN, VAL, TEST = range(len(PARTS))


class Pool(NamedTuple):
    """The answers that the episodes of one split are dealt from.

    Attributes:
        answers: ``[kept]`` numbers of answers, student after student: those of training first,
            behind them those of the split.
        starts: ``[students + 1]`` student s has ``answers[starts[s]:starts[s + 1]]``.
        given: ``[students]`` how many of these are of training.
    """

    answers: np.ndarray
    starts: np.ndarray
    given: np.ndarray


def with_validation(split: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The division ``[answers]`` with a share of training for validation, if nothing is yet."""
    if (split == VAL).any():
        return split
    key = counter_random.stream("answers", seed, "validation")
    drawn = counter_random.uniform(key, np.arange(len(split)), 1)[:, 0] < share
    return np.where((split == TRAIN) & drawn, VAL, split)


def pools(responses: Responses, split: np.ndarray, most_answers: int) -> dict[str, Pool]:
    """The answers of each split.

    Args:
        responses: all answers.
        split: ``[answers]`` what each is for.
        most_answers: training answers of a student that are read, from the first on.
    """
    count = len(responses.students)
    student = np.repeat(np.arange(count), np.diff(responses.starts))
    trains = np.flatnonzero(split == TRAIN)
    sizes = np.bincount(student[trains], minlength=count)
    place = np.arange(len(trains)) - np.repeat(sizes.cumsum() - sizes, sizes)
    trains = trains[place < most_answers]
    given = np.bincount(student[trains], minlength=count)
    found = {}
    for name, asked in (("train", []), ("val", [VAL]), ("test", [TEST])):
        answers = np.concatenate([trains, np.flatnonzero(np.isin(split, asked))])
        answers = answers[np.argsort(student[answers], kind="stable")]
        lengths = np.bincount(student[answers], minlength=count)
        found[name] = Pool(answers, np.concatenate([[0], lengths.cumsum()]), given)
    return found
