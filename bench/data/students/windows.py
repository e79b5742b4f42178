"""Windows of answers that are scored apart, such as the third to the tenth."""

from collections.abc import Sequence

from bench.base.errors import BenchError
from bench.base.option_text import written


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
