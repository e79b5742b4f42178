"""The question of the suite and its answer: all pairs of second and first order, in sentences."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.results.answer_tables import is_curve, missing
from bench.results.summary import (
    DIVERGED,
    FIRST_AHEAD,
    NO_DIFFERENCE,
    NOT_ALIKE,
    SECOND_AHEAD,
    TOO_FEW,
)
from bench.results.tables import figure


class Pair(NamedTuple):
    """Second against first order of one method on one data set and setting.

    Attributes:
        suite: which it was run in.
        dataset: the data set.
        setting: in words.
        method: without its order.
        gain: second minus first order as a table has it.
        share: of what first order leaves wrong, how much second order takes away; negative where
            it adds to it. What is wrong is 1 - accuracy, 1 - AUC, the error rate or the MSE.
        share_half_width: of its 95 % interval.
        times: how much longer a meta-iteration takes; NaN where that was not measured.
        memory: how much more memory it needs.
        verdict: in words.
        runs: seeds, folds or versions that both orders have.
    """

    suite: str
    dataset: str
    setting: str
    method: str
    gain: str
    share: float
    share_half_width: float
    times: float
    memory: float
    verdict: str
    runs: int

    @property
    def is_judged(self) -> bool:
        """Whether there are seeds enough for a verdict."""
        return self.verdict in (SECOND_AHEAD, FIRST_AHEAD, NO_DIFFERENCE)


def pairs(table: pd.DataFrame, all_shots: bool = False) -> list[Pair]:
    """Every pair of orders in a summary; of a curve over the answers shown its last point."""
    found = []
    for (suite, dataset), rows in table.groupby(["suite", "dataset"], sort=False):
        if is_curve(rows) and not all_shots:
            rows = rows[rows["shots"] == rows["shots"].max()]
        for row in rows[~rows["verdict"].isin(["", NOT_ALIKE])].itertuples():
            same = rows["setting"].eq(row.setting) & rows["label"].eq(row.partner)
            found.append(_pair(suite, dataset, row, rows[same].iloc[0]))
    return found


def _pair(suite: str, dataset: str, second, first) -> Pair:
    bounded = second.metric in ("accuracy", "auc")
    wrong = 1 - first["mean"] if bounded else first["mean"]
    sign = 1 if second.higher_is_better else -1
    gain = missing(second.metric, second.difference, second.nll) or figure(
        second.metric, second.difference, second.difference_half_width, sign=True
    )
    same_machine = second.measured_on == first["measured_on"]
    return Pair(
        suite,
        dataset,
        second.setting,
        second.label.replace(", second order", ""),
        gain,
        sign * second.difference / wrong if wrong > 0 else np.nan,
        second.difference_half_width / wrong if wrong > 0 else np.nan,
        _ratio(second.ms_per_iteration, first["ms_per_iteration"]) if same_machine else np.nan,
        _ratio(second.peak_memory_mib, first["peak_memory_mib"]),
        second.verdict,
        second.difference_runs,
    )


def _ratio(a: float, b: float) -> float:
    return a / b if b > 0 else np.nan


def sentences(found: list[Pair]) -> list[str]:
    """The answer, a few sentences, each from numbers in the records.

    Args:
        found: from :func:`pairs`.
    """
    if not found:
        return ["No method has been run in both orders yet, so there is nothing to compare."]
    shares = np.array([p.share for p in found])
    shares = shares[np.isfinite(shares)]
    better = sum(p.share > 0 for p in found)
    text = []
    if len(shares):
        middle = 100 * np.median(shares)
        does = "takes away" if middle >= 0 else "adds"
        text.append(
            f"Second order has the better mean in {better} of {_count(found, 'comparison')}. In "
            f"the middle one it {does} {abs(middle):.0f} % of what first order leaves wrong "
            f"(all: {_signed(shares.min())} to {_signed(shares.max())})."
        )
        best = max(found, key=lambda p: np.nan_to_num(p.share, nan=-np.inf))
        if best.share > 0:
            text.append(
                f"It helps most on {best.dataset} ({best.setting}, {best.method}): {best.gain}."
            )
    text += _price(found)
    judged = [p for p in found if p.is_judged]
    verdicts = {v: sum(p.verdict == v for p in judged) for v in (SECOND_AHEAD, FIRST_AHEAD)}
    if judged:
        open_ = len(judged) - sum(verdicts.values())
        text.append(
            f"Of {_count(judged, 'comparison')} with three seeds or more (or folds, or versions), "
            f"second order is ahead in {verdicts[SECOND_AHEAD]}, first order in "
            f"{verdicts[FIRST_AHEAD]}, and in {open_} no difference is shown."
        )
    if diverged := [p for p in found if p.verdict == DIVERGED]:
        text.append(f"In {_count(diverged, 'comparison')} a run has diverged: there is no verdict.")
    if few := [p for p in found if p.verdict in TOO_FEW.values()]:
        rest = "rests" if len(few) == 1 else "rest"
        text.append(
            f"{_count(few, 'comparison').capitalize()} {rest} on one or two seeds: what other "
            "seeds would give is not known, so there is no verdict."
        )
    return text


def _price(found: list[Pair]) -> list[str]:
    """What second order costs."""
    text = []
    for name, noun in (("times", "time"), ("memory", "memory")):
        ratios = np.array([getattr(p, name) for p in found])
        ratios = ratios[np.isfinite(ratios)]
        if len(ratios):
            text.append(
                f"{np.median(ratios):.1f} times the {noun} ({ratios.min():.1f} to "
                f"{ratios.max():.1f})"
            )
    return [f"The price of a meta-iteration: {' and '.join(text)}."] if text else []


def _signed(share: float) -> str:
    return f"{100 * share:+z.0f} %".replace("-", "−")


def _count(found: list[Pair], noun: str) -> str:
    return f"{len(found)} {noun}{'' if len(found) == 1 else 's'}"
