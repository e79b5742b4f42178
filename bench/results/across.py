"""Which method to take: ranks and wins over data sets, and how far they can be relied upon.

Methods are compared within a data set and setting, by their rank: 1 is the best. The win rate is
the share of the others that a method beats there, ties counting half. Settings of a data set are
averaged first, so that one with many does not count more than one with few.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bench.results.summary import Results, cells, names, summary

KINDS = {
    "accuracy": "images",
    "error_rate": "images",
    "auc": "answers of students",
    "mse": "regression",
}
DRAWS = 1000  # of the bootstrap


class Contest(NamedTuple):
    """What the methods reached on one data set.

    Attributes:
        methods: their numbers, ``[methods]``.
        scores: of each setting ``[methods, runs]``, the larger the better.
    """

    methods: np.ndarray
    scores: list[np.ndarray]


class Ranking(NamedTuple):
    """The methods of one kind of data, the best first.

    Attributes:
        kind: what the data is.
        rows: one a method: ``method``, ``datasets``, ``rank``, ``wins`` with ``low`` and ``high``
            (95 % interval over data sets and seeds), ``share`` (of the way from floor to ceiling),
            ``times`` (a meta-iteration, over the fastest method trained on the same data).
        datasets: how many it rests on.
        seeds: the fewest and the most runs of a method on a data set.
        notes: whether fewer would have given the same order, in words.
    """

    kind: str
    rows: pd.DataFrame
    datasets: int
    seeds: tuple[int, int]
    notes: list[str]


def across(records: Sequence[dict[str, Any]]) -> list[Ranking]:
    """One ranking a kind of data of which there are two data sets or more.

    Args:
        records: of any suites; trials of a choice left out.
    """
    results = records if isinstance(records, Results) else Results(records)
    table, members_of = summary(results), cells([*results])
    kinds = table["metric"].map(KINDS).fillna("other data")
    found = []
    for kind in dict.fromkeys(kinds):
        is_own = (kinds == kind) & (table["role"] != "ceiling")  # which knows the truth
        own = {key: m for (key, m), is_in in zip(members_of.items(), is_own) if is_in}
        methods, contests = _contests(own, names(own))
        if len(contests) > 1:
            found.append(_ranking(kind, methods, contests, own, table[is_own]))
    return found


def _ranking(
    kind: str, methods: list[str], contests: list[Contest], members_of: dict, table: pd.DataFrame
) -> Ranking:
    scores = [np.stack([c.mean(-1) for c in contest.scores])[None] for contest in contests]
    ranks, wins = _placed(contests, scores, len(methods))
    over_datasets = np.nanmean(wins[:, 0], 0)
    low, high = _interval(contests, len(methods))
    rows = pd.DataFrame({"method": methods})
    rows["datasets"] = np.isfinite(wins[:, 0]).sum(0)
    rows["rank"], rows["wins"] = np.nanmean(ranks[:, 0], 0), over_datasets
    rows["low"], rows["high"] = low, high
    label = table["label"]
    rows["share"] = rows["method"].map(table.groupby(label)["share"].mean())
    rows["times"] = rows["method"].map(_times(table).groupby(label).apply(_geometric_mean))
    rows = rows.sort_values(["wins", "method"], ascending=[False, True], ignore_index=True)
    counts = [len(members) for members in members_of.values()]
    seeds = min(counts), max(counts)
    return Ranking(kind, rows, len(contests), seeds, _stability(methods, wins[:, 0], contests))


def _contests(members_of: dict, name_of: dict) -> tuple[list[str], list[Contest]]:
    """All methods, and their scores on each data set, in those of its settings that have most."""
    of_dataset = []
    for dataset in dict.fromkeys(key[1] for key in members_of):
        settings: dict[tuple, dict[str, list[float]]] = {}
        for key, members in members_of.items():
            if key[1] == dataset:
                own = settings.setdefault((key[0], *key[2:4]), {})
                own[name_of[key]] = [_score(m) for m in members]
        most = max(settings.values(), key=len)
        if len(most) > 1:
            of_dataset.append([s for s in settings.values() if s.keys() == most.keys()])
    methods = list(dict.fromkeys(name for settings in of_dataset for name in settings[0]))
    found = []
    for settings in of_dataset:
        runs = min(len(values) for s in settings for values in s.values())
        numbers = sorted(methods.index(name) for name in settings[0])
        scores = [np.array([s[methods[n]][:runs] for n in numbers]) for s in settings]
        found.append(Contest(np.array(numbers), scores))
    return methods, found


def _score(record: dict) -> float:
    """The headline, signed so that more is better; what has diverged is the worst."""
    metrics = record["metrics"]
    mean = metrics[metrics["headline"]]["mean"]
    if mean is None:
        return -np.inf
    return mean if metrics["higher_is_better"] else -mean


def _placed(
    contests: list[Contest], scores: list[np.ndarray], methods: int
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks and win rates of each data set ``[datasets, draws, methods]``, NaN where not run.

    Args:
        contests: one a data set.
        scores: of each ``[draws, settings, methods of it]``.
        methods: how many there are in all.
    """
    shape = (len(contests), scores[0].shape[0], methods)
    ranks, wins = np.full(shape, np.nan), np.full(shape, np.nan)
    for number, (contest, values) in enumerate(zip(contests, scores)):
        count = len(contest.methods)
        mine, others = values[..., :, None], values[..., None, :]
        beaten = ((mine > others) + 0.5 * (mine == others)).sum(-1) - 0.5  # not itself
        won = beaten.mean(1) / (count - 1)
        wins[number][:, contest.methods] = won
        ranks[number][:, contest.methods] = count - won * (count - 1)
    return ranks, wins


def _interval(contests: list[Contest], methods: int) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the win rates ``[methods]``, from drawing data sets and seeds again."""
    rng = np.random.default_rng(0)
    resampled = []
    for contest in contests:
        runs = contest.scores[0].shape[-1]
        weights = rng.multinomial(runs, np.full(runs, 1 / runs), size=DRAWS) / runs
        # what has diverged is worse than all, however often it is drawn
        scores = np.nan_to_num(np.stack(contest.scores), neginf=-1e9)
        resampled.append(np.einsum("br,smr->bsm", weights, scores))
    wins = _placed(contests, resampled, methods)[1]
    counts = rng.multinomial(
        len(contests), np.full(len(contests), 1 / len(contests)), size=DRAWS
    ).T[:, :, None]
    drawn = np.where(np.isfinite(wins), counts, 0)
    total = drawn.sum(0)
    means = np.divide(
        np.nansum(wins * drawn, 0), total, out=np.full(total.shape, np.nan), where=total > 0
    )
    low, high = np.nanpercentile(means, [2.5, 97.5], axis=0)
    return low, high


def _stability(methods: list[str], wins: np.ndarray, contests: list[Contest]) -> list[str]:
    """Whether the order would have been the same with less, in words.

    Args:
        methods: their names.
        wins: ``[datasets, methods]``.
        contests: one a data set.
    """
    whole = np.nanmean(wins, 0)
    first = int(np.nanargmax(whole))
    alike, lost = [], 0
    for left_out in range(len(wins)):
        order = np.delete(wins, left_out, 0)
        seen = np.isfinite(order).any(0)
        order = np.nanmean(order[:, seen], 0)
        alike.append(_alike(order, whole[seen]))
        others = np.flatnonzero(seen) != first
        lost += not seen[first] or bool((order[others] >= order[~others]).any())
    stays = f'"{methods[first]}" stays first'
    if lost:
        stays = f"the first place is lost or shared in {lost} of {len(wins)} cases"
    notes = [
        f"With each data set left out in turn {stays}, and {min(alike):.0%} of the pairs of "
        "methods or more keep their order."
    ]
    runs = [contest.scores[0].shape[-1] for contest in contests]
    if max(runs) == 1:
        return [*notes, "One seed each: what others would give is not known."]
    agree = []
    for run in range(max(runs)):
        scores = [
            np.stack([s[:, run % s.shape[1]] for s in contest.scores])[None] for contest in contests
        ]
        single = np.nanmean(_placed(contests, scores, len(methods))[1][:, 0], 0)
        agree.append(_alike(single, whole))
    one = f"With one seed of each instead of all, {min(agree):.0%} of them or more do."
    return [*notes, one]


def _alike(a: np.ndarray, b: np.ndarray) -> float:
    """The share of pairs that two orders ``[methods]`` have alike."""
    first, second = np.triu_indices(len(a), 1)
    return float(np.mean(np.sign(a[first] - a[second]) == np.sign(b[first] - b[second])))


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
    """The rows in words, one column a heading."""
    lines = []
    for row in ranking.rows.itertuples():
        lines.append(
            {
                "Method": row.method,
                "Wins": f"{100 * row.wins:.0f} %",
                "95 % interval": f"{100 * row.low:.0f} to {100 * row.high:.0f} %",
                "Mean rank": f"{row.rank:.1f}",
                "Way to ceiling": "-" if np.isnan(row.share) else f"{100 * row.share:.0f} %",
                "Time": "-" if np.isnan(row.times) else f"{row.times:.1f} times",
                "Data sets": str(row.datasets),
            }
        )
    shown = pd.DataFrame(lines)
    return shown.drop(columns=[n for n in ("Way to ceiling", "Time") if (shown[n] == "-").all()])


def caption(ranking: Ranking) -> str:
    """What a reader must know of it."""
    low, high = ranking.seeds
    seeds = f"{low} to {high} runs" if low < high else f"{low} run{'s' if low > 1 else ''}"
    return " ".join(
        [
            f"Over {ranking.datasets} data sets, {seeds} of a method on each. Wins: the share "
            "of the other methods that it beats on a data set, on average; the interval is a "
            "bootstrap over data sets and seeds, and where two overlap this does not tell them "
            "apart. A method that was not run everywhere is compared where it was. Time: of a "
            "meta-iteration, over the fastest that learns on the same data.",
            *ranking.notes,
        ]
    )
