"""Which method to take: win rates over data sets, and how far they can be relied upon.

Two methods are compared wherever both were run in the same setting of the same suite, by their
means over seeds, ties counting half. Settings are averaged first and data sets then, so that one
with many settings does not count more than one with few. The win rate of a method is the average of
these comparisons over its opponents: the methods that have a place, as they were run on at least
half of the data sets, and on two. All that one training is tested on is one data set. A run that
diverged loses to all that did not.

This is the average win rate of Chatbot Arena (https://github.com/lm-sys/FastChat,
``fastchat/serve/monitor/elo_analysis.py``). Where everything was run everywhere it is the mean win
rate of HELM (Liang et al. 2022, https://arxiv.org/abs/2211.09110), which is the average rank in
other words. In a table with gaps those two reward who met weak opponents; here all meet the same.
A Bradley-Terry model does so too, but supposes that one order of strength holds on all data sets,
and has no finite solution where a method beats all others.

The interval is a Bayesian bootstrap (Rubin 1981, https://doi.org/10.1214/aos/1176345338): data sets
and seeds get random weights instead of being drawn, so that a method keeps all runs that it has.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bench.results.contests import data_of, of_cells
from bench.results.failed import Failure
from bench.results.lengths import longest, without_length
from bench.results.summary import Results, cells, names, summary

KINDS = {
    "accuracy": "images",
    "error_rate": "images",
    "auc": "answers of students",
    "mse": "regression",
}
DRAWS = 1000  # of the bootstrap
FEWEST = 3  # data sets: an interval over fewer would claim more than they tell
SHOWN = 15  # rows, if no more have a place


class Ranking(NamedTuple):
    """The methods of one kind of data, the best first, those without a place below the others.

    Attributes:
        kind: what the data is.
        rows: one a method: ``method``, ``datasets`` (on which it was compared), ``place`` (none on
            one data set, or fewer than half), ``rank`` (the mean one among those with a place,
            from 1 for the best: their win rates in other words), ``wins`` with ``low`` and ``high``
            (95 % interval over data sets and seeds, none on fewer than three data sets), ``share``
            (of the way from floor to ceiling), ``times`` (a meta-iteration, over the fastest
            trained on the same data).
        datasets: how many it rests on.
        seeds: the fewest and the most runs of a method in a setting.
        notes: whether less would have given the same order, and what is not counted, in words.
    """

    kind: str
    rows: pd.DataFrame
    datasets: int
    seeds: tuple[int, int]
    notes: list[str]


def across(records: Sequence[dict[str, Any]], failed: Sequence[Failure] = ()) -> list[Ranking]:
    """One ranking a kind of data of which methods can be compared on two data sets or more.

    Args:
        records: of any suites; trials of a choice left out.
        failed: the runs without a record: those that diverged lose to all that did not.
    """
    results = records if isinstance(records, Results) else Results(records)
    table, members_of = summary(results), cells([*results])
    kinds = table["metric"].map(KINDS).fillna("other data")
    found = []
    for kind in dict.fromkeys(kinds):
        is_own = (kinds == kind) & (table["role"] != "ceiling")  # which knows the truth
        own = {key: m for (key, m), is_in in zip(members_of.items(), is_own) if is_in}
        found.append(_ranking(kind, own, table[is_own], [f for f in failed if f.diverged]))
    return [ranking for ranking in found if ranking]


def _ranking(
    kind: str, members_of: dict, table: pd.DataFrame, diverged: Sequence[Failure]
) -> Ranking | None:
    last = longest(members_of)
    name_of = names({short: members_of[key] for short, key in last.items()})
    counted = {key: name_of[short] for short, key in last.items()}
    shorter = {key: name_of[without_length(key)] for key in members_of if key not in counted}
    methods = np.array(sorted(set(counted.values())))
    own = {key: members_of[key] for key in counted}
    contests = of_cells(own, counted, [*methods], diverged)
    if len(contests) < 2:
        return None
    beats = _all_beats(contests)
    datasets = (~np.isnan(beats)).any(2).sum(0)
    placed = datasets >= max(2, len(contests) / 2)
    wins = _wins(beats[..., placed])
    if np.isfinite(wins[placed]).sum() < 2:
        return None
    bounds = np.where(datasets < FEWEST, np.nan, _interval(contests, placed))
    rows = pd.DataFrame({"method": methods, "datasets": datasets})
    place = pd.Series(wins).where(placed).rank(ascending=False, method="min")
    rows["place"] = place.astype("Int64")
    rows["rank"] = placed.sum() - np.where(placed, wins, np.nan) * (placed.sum() - 1)
    rows["wins"], (rows["low"], rows["high"]) = wins, bounds
    table = table.assign(label=[counted.get(key) for key in members_of]).dropna(subset="label")
    name = table["label"]
    data = [data_of(key, members) for key, members in members_of.items() if key in counted]
    share = table.groupby([name, data])["share"].mean().groupby("label").mean()
    rows["share"] = rows["method"].map(share)
    rows["times"] = rows["method"].map(_times(table).groupby(name).apply(_geometric_mean))
    counts = np.concatenate([(~np.isnan(scores)).sum(2).ravel() for scores in contests])
    seeds = int(counts[counts > 0].min()), int(counts.max())
    notes = _stability([*methods[placed]], [scores[:, placed] for scores in contests])
    rows = _sorted(rows, _wins(beats))
    return Ranking(kind, rows, len(contests), seeds, [*notes, *_not_counted(shorter)])


def _sorted(rows: pd.DataFrame, over_all: np.ndarray) -> pd.DataFrame:
    """First those with a place, then those seen often enough for an interval, by their wins.

    Args:
        rows: as in a :class:`Ranking`.
        over_all: win rates over all methods, with a place or not: they part those that tie.
    """
    by = {"place": True, "few": True, "wins": False, "over_all": False, "method": True}
    rows = rows.assign(few=rows["low"].isna(), over_all=over_all)
    rows = rows.sort_values([*by], ascending=[*by.values()], ignore_index=True)
    return rows.drop(columns=["few", "over_all"])


def _beats(
    scores: np.ndarray, weights: np.ndarray, opponents: np.ndarray | slice = slice(None)
) -> np.ndarray:
    """How often methods beat others on a data set, ``[draws, methods, opponents]``.

    Args:
        scores: ``[settings, methods, runs]``.
        weights: of the runs, ``[draws, runs]``, all above zero.
        opponents: which of the methods, ``[methods]``.
    """
    means = _mean(scores, -1, weights[:, None, None])
    mine, others = means[..., :, None], means[..., None, opponents]
    won = (mine > others) + 0.5 * (mine == others)
    itself = np.eye(scores.shape[1], dtype=bool)[:, opponents]
    won[np.isnan(mine) | np.isnan(others) | itself] = np.nan
    return _mean(won, 1)


def _all_beats(contests: list[np.ndarray], run: int | None = None) -> np.ndarray:
    """How often methods beat others ``[datasets, methods, methods]``, NaN where they never met.

    Args:
        contests: scores of each data set.
        run: counts instead of all of them, for methods that have it.
    """
    found = []
    for scores in contests:
        if run is not None:
            own = scores[..., run % scores.shape[2]]
            scores = np.where(np.isnan(own), _mean(scores, -1), own)[..., None]
        found.append(_beats(scores, np.ones((1, scores.shape[2])))[0])
    return np.stack(found)


def _wins(beats: np.ndarray, weights: np.ndarray | float = 1.0) -> np.ndarray:
    """Win rates ``[..., methods]``.

    Args:
        beats: ``[..., datasets, methods, opponents]``.
        weights: of the data sets, ``[..., datasets, 1, 1]``.
    """
    return _mean(_mean(beats, -3, weights), -1).round(9)  # ties remain ties


def _mean(values: np.ndarray, axis: int, weights: np.ndarray | float = 1.0) -> np.ndarray:
    """Over what is not NaN; NaN where nothing is."""
    seen = ~np.isnan(values)
    total = (weights * seen).sum(axis)
    summed = (weights * np.where(seen, values, 0)).sum(axis)
    return np.divide(summed, total, out=np.full(total.shape, np.nan), where=total > 0)


def _interval(contests: list[np.ndarray], placed: np.ndarray) -> np.ndarray:
    """Bounds of the win rates ``[2, methods]``, from weighting data sets and runs at random.

    A weight is that of a run, such as seed 1 on a data set, for all methods that have it.
    """
    rng = np.random.default_rng(0)
    drawn = [_beats(s, rng.exponential(size=(DRAWS, s.shape[2])), placed) for s in contests]
    weights = rng.exponential(size=(DRAWS, len(contests), 1, 1))
    return np.percentile(_wins(np.stack(drawn, 1), weights), [2.5, 97.5], axis=0)


def _stability(methods: list[str], contests: list[np.ndarray]) -> list[str]:
    """Whether the order would have been the same with less, in words.

    Args:
        methods: those with a place.
        contests: their scores on each data set.
    """
    beats = _all_beats(contests)
    whole = _wins(beats)
    first = int(np.nanargmax(whole))
    alike, lost = [], 0
    for left_out in range(len(beats)):
        order = _wins(np.delete(beats, left_out, 0))
        alike.append(_alike(order, whole))
        lost += not order[first] > np.nanmax(np.delete(order, first), initial=-1)
    stays = f'"{methods[first]}" stays first'
    if lost:
        stays = f"the first place is lost or shared in {lost} of {len(beats)} cases"
    notes = [
        f"With each data set left out in turn {stays}, and {_at_least(min(alike))} of the pairs of "
        "methods with a place keep their order."
    ]
    runs = max(scores.shape[2] for scores in contests)
    if runs == 1:
        return [*notes, "One seed each: what others would give is not known."]
    agree = min(_alike(_wins(_all_beats(contests, run)), whole) for run in range(runs))
    return [*notes, f"With one seed of each instead of all, {_at_least(agree)} of them do."]


def _alike(a: np.ndarray, b: np.ndarray) -> float:
    """The share of pairs that two orders ``[methods]`` have alike."""
    seen = ~np.isnan(a) & ~np.isnan(b)
    first, second = np.triu_indices(seen.sum(), 1)
    a, b = np.sign(a[seen][first] - a[seen][second]), np.sign(b[seen][first] - b[seen][second])
    return float(np.mean(a == b)) if len(a) else 0.0


def _at_least(share: float) -> str:
    return "all" if share == 1 else f"at least {int(100 * share)} %"


def _not_counted(shorter: dict[tuple, str]) -> list[str]:
    """Which trainings are left out, in words.

    Args:
        shorter: the methods by the keys of the cells.
    """
    found: dict[tuple, list[str]] = {}
    for (suite, dataset, *_), name in shorter.items():
        found.setdefault((suite, dataset), []).append(name)
    return [
        f"Not counted: the shorter trainings of {_listed(dict.fromkeys(methods))} on {dataset} in "
        f"suite {suite}."
        for (suite, dataset), methods in found.items()
    ]


def _times(table: pd.DataFrame) -> pd.Series:
    """The time of a meta-iteration over that of the fastest method that learns from it.

    Only of what was measured on the same kind of machine as most of the data set.
    """
    learns = table["role"].eq("") & (table["ms_per_iteration"] > 0) & ~table["measured_elsewhere"]
    time = table["ms_per_iteration"].where(learns)
    fastest = time.groupby([table["suite"], table["dataset"], table["setting"]]).transform("min")
    return time / fastest


def _geometric_mean(values: pd.Series) -> float:
    values = values.dropna()
    return float(np.exp(np.log(values).mean())) if len(values) else np.nan


# In words ---------------------------------------------------------------------------------------


def display(ranking: Ranking) -> pd.DataFrame:
    """The rows in words, one column a heading; of many without a place only the first."""
    lines = []
    for row in ranking.rows.head(_shown(ranking)).itertuples():
        has_place, low = not pd.isna(row.place), f"{100 * row.low:.0f} to "
        lines.append(
            {
                "Method": row.method,
                "Place": str(row.place) if has_place else "-",
                "Mean rank": f"{row.rank:.1f}" if has_place else "-",
                "Wins": _percent(row.wins),
                "95 % interval": "-" if np.isnan(row.low) else low + _percent(row.high),
                # where few data sets have a ceiling, all methods may be near it
                "Way to ceiling": _percent(row.share) if has_place else "-",
                "Time": "-" if np.isnan(row.times) else f"{row.times:.1f} times",
                "Data sets": f"{row.datasets} of {ranking.datasets}",
            }
        )
    shown = pd.DataFrame(lines)
    optional = "95 % interval", "Way to ceiling", "Time"
    return shown.drop(columns=[name for name in optional if (shown[name] == "-").all()])


def caption(ranking: Ranking) -> str:
    """What a reader must know of it."""
    columns, (low, high) = display(ranking).columns, ranking.seeds
    seeds = f"{low} to {high} runs" if low < high else f"{low} run{'s' if low > 1 else ''}"
    text = [
        f"Over {ranking.datasets} data sets, {seeds} of a method in each setting. Wins: how often "
        "a method does better, by the mean of its runs, than those that have a place, where both "
        "were run in the same setting; every data set and every opponent counts once; all that "
        "one training was tested on is one data set, and a run that diverged is the worst. Mean "
        "rank: the same counted as ranks among those with a place, 1 being the best. So all meet "
        "the same opponents, but not all on the same data sets: win rates of methods that were run "
        "on different ones compare only roughly."
    ]
    if "95 % interval" in columns:
        text.append(
            "The interval is a bootstrap over data sets and seeds, where there are three data sets "
            "or more; where two overlap this does not tell the methods apart."
        )
    if ranking.rows["place"].isna().any():
        text.append(
            "No place: run on fewer than half of the data sets, or on one, a hint of what else to "
            "try there; those that win alike stand in the order of their wins over all methods."
        )
    if len(further := ranking.rows["method"][_shown(ranking) :]):
        text.append(f"Not shown, in this order: {_listed(further)}.")
    if "Way to ceiling" in columns:
        text.append("Way to ceiling: on average over the data sets that have one.")
    if "Time" in columns:
        text.append("Time: of a meta-iteration, over the fastest that learns on the same data.")
    return " ".join([*text, *ranking.notes])


def _shown(ranking: Ranking) -> int:
    return max(SHOWN, ranking.rows["place"].notna().sum())


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.0f} %"


def _listed(methods: Iterable[str]) -> str:
    return "; ".join(methods)  # names have commas
