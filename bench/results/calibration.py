"""Whether probabilities are what they say: a reliability table and the expected calibration error.

Of classes the probability of the predicted one is compared with how often it is right (Guo et al.
2017, arXiv:1706.04599, equations 2 and 3), of students the probability of a right answer with how
often answers are right.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.results.predictions import Predictions

BINS = 15  # of equal width, as in the record's calibration_error


def reliability(parts: Sequence[Predictions]) -> pd.DataFrame:
    """One row for each bin of probabilities that has any.

    Args:
        parts: of the runs of one cell of the table.

    Returns:
        ``low``, ``high``: the bin; ``rows``: in it; ``probability``: their mean; ``right``: the
        share of right predictions or answers among them.
    """
    said, right = zip(*map(_said_and_right, parts))
    said, right = np.concatenate(said), np.concatenate(right)
    edges = np.linspace(0, 1, BINS + 1)
    place = np.clip(np.searchsorted(edges, said, "left") - 1, 0, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    used = count > 0
    means = [np.bincount(place, v, BINS)[used] / count[used] for v in (said, right)]
    return pd.DataFrame(
        {
            "low": edges[:-1][used],
            "high": edges[1:][used],
            "rows": count[used],
            "probability": means[0],
            "right": means[1],
        }
    )


def expected_error(table: pd.DataFrame) -> float:
    """The distance of probability and share of right ones, mean over all rows.

    Args:
        table: from :func:`reliability`.
    """
    distance = (table["probability"] - table["right"]).abs()
    return float((distance * table["rows"]).sum() / table["rows"].sum())


def _said_and_right(part: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """``[rows]`` probabilities, and whether what they are of came true."""
    if len(part.names):
        return part.probability.max(1).astype(float), (part.predicted == part.answer).astype(float)
    return part.probability[:, 0].astype(float), part.answer.astype(float)
