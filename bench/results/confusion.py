"""Which classes are taken for which others: a table of pairs from the predictions of test episodes.

An episode holds a few of all classes, so that a class can be taken only for those that happen to be
in its episodes: a share is of the query rows in whose episode both classes were.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.results.predictions import Predictions

COLUMNS = ["true", "predicted", "times", "together", "share"]


def pairs(parts: Sequence[Predictions]) -> pd.DataFrame:
    """Every pair of classes that met, one row a pair, the right ones among them.

    Args:
        parts: of the runs of one cell of the table.

    Returns:
        ``true``, ``predicted``: names of classes; ``times``: how many query rows of the one were
        taken for the other; ``together``: how many could have been; ``share``: of these.
    """
    found = pd.concat([_of_run(part) for part in parts if len(part.names)])
    found = found.groupby(COLUMNS[:2], as_index=False, sort=True)[COLUMNS[2:4]].sum()
    return found.assign(share=found["times"] / found["together"])


def _of_run(part: Predictions) -> pd.DataFrame:
    classes, most = part.classes, len(part.names)
    there = classes >= 0
    answer = np.broadcast_to(part.answer[:, None], classes.shape)
    met = np.bincount((answer * most + classes)[there].astype(np.int64))
    taken = np.bincount(part.answer.astype(np.int64) * most + part.predicted, minlength=len(met))
    pair = np.flatnonzero(met)
    names = part.names.astype(object)
    return pd.DataFrame(
        {
            "true": names[pair // most],
            "predicted": names[pair % most],
            "times": taken[pair],
            "together": met[pair],
        }
    )


def by_class(table: pd.DataFrame) -> pd.DataFrame:
    """Share of right predictions of each class, the lowest first, and what it is most taken for.

    Args:
        table: from :func:`pairs`.

    Returns:
        ``class``, ``rows``, ``right``, and ``mistaken_for``, ``mistaken``: the class that it was
        taken for most often, and the share of the rows in whose episode that one was.
    """
    is_right = table["true"] == table["predicted"]
    right = table[is_right].set_index("true")
    wrong = table[~is_right & (table["times"] > 0)]
    wrong = wrong.sort_values(["times", "share"], ascending=False, kind="stable")
    worst = wrong.drop_duplicates("true").set_index("true").reindex(right.index)
    found = pd.DataFrame(
        {
            "class": right.index,
            "rows": right["together"].to_numpy(),
            "right": right["share"].to_numpy(),
            "mistaken_for": worst["predicted"].to_numpy(),
            "mistaken": worst["share"].to_numpy(),
        }
    )
    return found.sort_values(["right", "class"], kind="stable", ignore_index=True)


def matrix(table: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """The shares among some classes, ``[true, predicted]``; NaN where two never met."""
    shares = table.pivot(index="true", columns="predicted", values="share")
    return shares.reindex(index=classes, columns=classes).to_numpy(float)
