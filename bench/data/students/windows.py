"""Windows of answers that are scored apart, such as the third to the tenth."""

from collections.abc import Sequence

import numpy as np

from bench.base.errors import BenchError
from bench.base.option_text import written
from bench.tasks.episode import View


def check(windows: Sequence[Sequence[int]], protocol: str) -> None:
    """Makes sure that windows make sense.

    Args:
        windows: the first and last number of the answers of each.
        protocol: by which answers are shown.

    Raises:
        BenchError: if they are no rising whole numbers from 2 on, or do not go with the protocol.
    """
    if protocol != "next":
        raise BenchError(f"windows={windows!r}: goes with {written('protocol', 'next')}")
    ends = [end for window in windows for end in window]
    whole = all(type(end) is int for end in ends)
    if (
        not whole
        or any(not 2 <= first <= last for first, last in windows)
        or any(last >= following for last, following in zip(ends[1::2], ends[2::2]))
    ):
        raise BenchError(
            f"windows={windows!r}: give first and last numbers of answers, from 2 on, that rise"
        )


def listed(
    windows: Sequence[Sequence[int]], split: str, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[View]]:
    """The episodes that ask for every answer of each window in turn, window after window.

    Args:
        windows: the first and last number of the answers of each.
        split: whose students they are, for the message.
        lengths: ``[students]`` how many answers each gave.

    Returns:
        Student and number of answers shown of each episode, and the views, a window each.

    Raises:
        BenchError: if no student reaches the last window.
    """
    students = np.flatnonzero(lengths >= windows[-1][1])
    if not len(students):
        raise BenchError(
            f"windows={windows!r}: no {split} student has {windows[-1][1]} answers: give fewer"
        )
    student, shown, views = [], [], []
    for number, (first, last) in enumerate(windows):
        asked = np.arange(first - 1, last)  # so many are shown before each
        student.append(np.repeat(students, len(asked)))
        shown.append(np.tile(asked, len(students)))
        views.append(View(first - 1, number * len(students), len(students)))
    return np.concatenate(student), np.concatenate(shown), views
