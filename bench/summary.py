"""Records to numbers: one row a data set, setting and algorithm, and the two orders compared."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t

from bench import records as record_files
from bench.errors import BenchError
from bench.statistics import Interval, interval, paired_difference

LABELS = {
    "maml": "MAML, second order",
    "fomaml": "MAML, first order",
    "no_adaptation": "no adaptation (joint training)",
    "item_mean": "item mean",
    "random_init": "fine-tune from random init",
}
FIRST, LAST = ("maml", "fomaml"), ("no_adaptation", "item_mean", "random_init")
SECOND_AHEAD, FIRST_AHEAD = "second order ahead", "first order ahead"
NO_DIFFERENCE = "no difference shown"
SAME_CELL = {"seed", "ways", "shots", "num_workers", "spec"}  # options that make no new row


def frame(records: list[dict]) -> pd.DataFrame:
    """One row a record, flat: for a notebook, or a table of one's own."""
    rows = []
    for record in records:
        experiment, metrics = record["experiment"], record["metrics"]
        nested = {k: v for k, v in experiment.items() if not isinstance(v, dict)}
        row = {**nested, "synthetic": record["synthetic"], "chosen": record["chosen"]}
        row |= {f"data.{k}": v for k, v in experiment["data"].items()}
        row |= {f"learner.{k}": v for k, v in experiment["learner"].items()}
        row["headline"] = metrics["headline"]
        for name, metric in metrics.items():
            if isinstance(metric, dict):
                row |= {name: metric["mean"], f"{name}_ci95": metric["ci95"]}
        row |= {"episodes": record["evaluation"]["episodes"]}
        row |= {f"training.{k}": v for k, v in record["training"].items() if k != "validation"}
        row |= {k: (record["cost"] or {}).get(k) for k in record_files.COST_FIELDS}
        rows.append(row | {f"provenance.{k}": v for k, v in record["provenance"].items()})
    return pd.DataFrame(rows)


def cells(records: list[dict]) -> dict[tuple, list[dict]]:
    """The records of each row of the table, one a seed, in the order of the rows.

    A key is (suite, data set, ways, shots, algorithm, variant). The variant is ``()`` unless a
    suite holds several configurations of one algorithm; then it has their (option, value) pairs.

    Raises:
        BenchError: if two records differ in nothing.
    """
    groups: dict[tuple, list[dict]] = {}
    for record in records:
        e = record["experiment"]
        key = e["suite"], e["dataset"], e["ways"], e["shots"], e["algorithm"]
        groups.setdefault(key, []).append(record)
    found: dict[tuple, list[dict]] = {}
    for key, members in groups.items():
        options = [_options(m["experiment"]) for m in members]
        names = sorted(set().union(*options))
        varying = [n for n in names if len({o.get(n) for o in options}) > 1]
        for member, option in zip(members, options):
            variant = tuple((n, option.get(n, "-")) for n in varying)
            found.setdefault((*key, variant), []).append(member)
    for members in found.values():
        members.sort(key=lambda m: m["experiment"]["seed"])
        for a, b in pairwise(members):
            if a["experiment"]["seed"] == b["experiment"]["seed"]:
                raise BenchError(
                    f"{_file(a)} and {_file(b)} are two runs of one experiment: delete one of them"
                )
    return {key: found[key] for key in sorted(found, key=_order)}


def summary(records: list[dict]) -> pd.DataFrame:
    """The results table in numbers: one row a cell, see :func:`cells`.

    ``mean`` and ``half_width`` are of the headline metric: with three seeds or more the interval
    is over seeds (Student t), otherwise over test episodes, each averaged over the seeds first.
    ``difference`` is second minus first order, on the same test episodes of the same seeds.

    Raises:
        BenchError: if there are no records, or two that are to be paired were tested on different
            episodes.
    """
    if not records:
        raise BenchError("there are no finished runs to tabulate: run a suite first")
    members_of, rows = cells(records), []
    for key, members in members_of.items():
        suite, dataset, ways, shots, algorithm, variant = key
        metrics, learner = members[0]["metrics"], members[0]["experiment"]["learner"]
        result = _over_seeds(_aligned(members))
        steps = np.array([m["metrics"][metrics["headline"]]["per_step"] for m in members], float)
        row = {
            "suite": suite,
            "dataset": dataset,
            "synthetic": members[0]["synthetic"],
            "setting": setting(ways, shots),
            "ways": ways,
            "shots": shots,
            "algorithm": algorithm,
            "variant": _variant(variant),
            "label": label(algorithm, variant),
            "batch_norm": learner.get("batch_norm", "") if ways else "",
            "metric": metrics["headline"],
            "higher_is_better": metrics["higher_is_better"],
            "mean": result.mean,
            "half_width": result.half_width,
            "interval_over": "seeds" if len(members) > 2 else "episodes",
            "before": steps[:, 0].mean() if steps.shape[1] > 1 else np.nan,
            "after": steps[:, -1].mean(),
            "test_steps": steps.shape[1] - 1,
        }
        pair = _first_order(members_of, key) if algorithm == "maml" else []
        row |= _compared(members, pair)
        for name in record_files.COST_FIELDS:
            values = [m["cost"][name] for m in members if m["cost"] and m["cost"][name] is not None]
            row[name] = float(np.mean(values)) if values else np.nan
        row |= {"seeds": len(members), "episodes": members[0]["evaluation"]["episodes"]}
        row["iterations"] = members[0]["experiment"]["iterations"]
        rows.append(row | {"chosen": "; ".join(dict.fromkeys(m["chosen"] for m in members))})
    return pd.DataFrame(rows).astype({"ways": "Int64"})


def setting(ways: int | None, shots: int) -> str:
    """The words for a setting."""
    return f"{ways}-way {shots}-shot" if ways else f"{shots}-shot"


def label(algorithm: str, variant: tuple = ()) -> str:
    """The words for an algorithm, with what sets it apart from others of its name."""
    words = LABELS.get(algorithm, algorithm.replace("_", " "))
    return f"{words} ({_variant(variant)})" if variant else words


def _variant(pairs: tuple) -> str:
    return ", ".join(f"{name}={value}" for name, value in pairs)


def _options(experiment: dict) -> dict[str, str]:
    parts = experiment["data"] | experiment["learner"]
    parts |= {n: experiment.get(n) for n in ("iterations", "validations", "queries")}
    return {k: json.dumps(v, sort_keys=True) for k, v in parts.items() if k not in SAME_CELL}


def _order(key: tuple) -> tuple:
    suite, dataset, ways, shots, algorithm, variant = key
    rank = FIRST.index(algorithm) if algorithm in FIRST else len(FIRST)
    rank += 1 + LAST.index(algorithm) if algorithm in LAST else 0
    values = [(name, len(value), value) for name, value in variant]
    return suite, dataset, ways or 0, shots, rank, algorithm, values


def _file(record: dict) -> Path:
    return record_files.path_of(Path(), record["experiment"])


def _aligned(records: list[dict]) -> np.ndarray:
    """The headline of each episode, ``[records, episodes]``, in the order of episode numbers."""
    series = []
    for record in records:
        evaluation, headline = record["evaluation"], record["metrics"]["headline"]
        values = np.array(evaluation["per_episode"][headline], float)
        series.append(pd.Series(values, evaluation["index"]).sort_index())
        if not series[0].index.equals(series[-1].index):
            raise BenchError(
                f"{_file(records[0])} and {_file(record)} were tested on different episodes, so "
                "they cannot be paired: run both again with the same test_episodes"
            )
    return np.stack(series)


def _over_seeds(values: np.ndarray) -> Interval:
    """Interval over seeds from three seeds on, otherwise over episodes; ``[seeds, episodes]``."""
    if len(values) < 3:
        return interval(values.mean(0))
    means = values.mean(1)
    error = means.std(ddof=1) / len(means) ** 0.5
    return Interval(float(means.mean()), float(t.ppf(0.975, len(means) - 1) * error))


def _first_order(members_of: dict[tuple, list[dict]], key: tuple) -> list[dict]:
    """The records of first order that agree in every option that varies within both orders."""
    variant, found = dict(key[5]), []
    for other, members in members_of.items():
        if other[:5] == (*key[:4], "fomaml"):
            theirs = dict(other[5])
            if all(theirs[n] == variant[n] for n in theirs.keys() & variant.keys()):
                found.append(members)
    return found[0] if len(found) == 1 else []


def _compared(second: list[dict], first: list[dict]) -> dict:
    """Second minus first order over the seeds that both have."""
    by_seed = {r["experiment"]["seed"]: r for r in first}
    pairs = [(r, by_seed[s]) for r in second if (s := r["experiment"]["seed"]) in by_seed]
    nothing = {"difference": np.nan, "difference_half_width": np.nan, "verdict": ""}
    if not pairs:
        return nothing | {"difference_seeds": 0}
    a, b = _aligned([r for pair in pairs for r in pair]).reshape(len(pairs), 2, -1).swapaxes(0, 1)
    result = paired_difference(a[0], b[0]) if len(pairs) == 1 else _over_seeds(a - b)
    return {
        "difference": result.mean,
        "difference_half_width": result.half_width,
        "verdict": _verdict(result, second[0]["metrics"]["higher_is_better"]),
        "difference_seeds": len(pairs),
    }


def _verdict(difference: Interval, higher_is_better: bool) -> str:
    if not difference.excludes_zero:  # NaN included
        return NO_DIFFERENCE
    return SECOND_AHEAD if (difference.mean > 0) == higher_is_better else FIRST_AHEAD
