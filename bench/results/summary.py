"""Records to numbers: one row a data set, setting and algorithm, and the two orders compared."""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd

from bench.base.errors import BenchError
from bench.results import costs, labels, published, schema, scores
from bench.results.labels import Label
from bench.results.scores import REPEATED, Scores
from bench.results.views import by_shots
from bench.tasks.statistics import Interval, share_of_way

SECOND_AHEAD, FIRST_AHEAD = "second order ahead", "first order ahead"
NO_DIFFERENCE = "no difference shown"
# in place of a verdict
TOO_FEW = {1: "one seed", 2: "two seeds"}  # nobody knows what others give
DIVERGED, NOT_ALIKE = "diverged", "not trained alike"
# options that make no new row: what a repetition changes, and what follows from the rest
SAME_CELL = {*REPEATED, "ways", "shots", "num_workers", "spec"}
METRICS = ("accuracy", "nll", "brier", "calibration_error")  # beside the headline


def frame(records: list[dict]) -> pd.DataFrame:
    """One row a record, flat: for a notebook, or a table of one's own.

    ``suite``, ``dataset``, ``ways``, ``shots``, ``algorithm``, ``seed`` and ``iterations`` say what
    was run, ``label`` and ``order`` what tables call it, ``data.*`` and ``learner.*`` with which
    arguments. ``value`` and ``ci95`` are of the headline ``metric`` (the mean over test episodes,
    and the half-width of its 95 % interval); every metric is a column of its own name too.
    ``training.seconds``, ``ms_per_iteration`` and ``peak_memory_mib`` are what it took. A run that
    was tested on several stretches of episodes has a row for each.
    """
    rows = []
    for record in by_shots(records):
        experiment, metrics = record["experiment"], record["metrics"]
        nested = {k: v for k, v in experiment.items() if not isinstance(v, dict)}
        row = {**nested, "synthetic": record["synthetic"], "chosen": record["chosen"]}
        row |= {f"data.{k}": v for k, v in experiment["data"].items()}
        row |= {f"learner.{k}": v for k, v in experiment["learner"].items()}
        row |= labels.of_record(record).fields
        headline = metrics[metrics["headline"]]
        row |= {"metric": metrics["headline"], "value": headline["mean"], "ci95": headline["ci95"]}
        for name, metric in metrics.items():
            if isinstance(metric, dict):
                row |= {name: metric["mean"], f"{name}_ci95": metric["ci95"]}
        row |= {"episodes": record["evaluation"]["episodes"]}
        row |= {f"training.{k}": v for k, v in record["training"].items() if k != "validation"}
        row |= {k: (record["cost"] or {}).get(k) for k in schema.COST_FIELDS}
        rows.append(row | {f"provenance.{k}": v for k, v in record["provenance"].items()})
    return pd.DataFrame(rows)


def cells(records: list[dict]) -> dict[tuple, list[dict]]:
    """The records of each row of the table, one a seed (or fold, or version), in their order.

    A key is (suite, data set, ways, shots, algorithm, variant). The variant is ``()`` unless a
    suite holds several configurations of one algorithm; then it has their (option, value) pairs.

    Raises:
        BenchError: if two records differ in nothing.
    """
    groups: dict[tuple, list[dict]] = {}
    for record in by_shots(records):
        e = record["experiment"]
        key = e["suite"], e["dataset"], e["ways"], e["shots"], e["algorithm"]
        groups.setdefault(key, []).append(record)
    found: dict[tuple, list[dict]] = {}
    for key, members in groups.items():
        given = [options(m) for m in members]
        varying = [n for n in sorted(set().union(*given)) if len({g.get(n) for g in given}) > 1]
        for member, own in zip(members, given):
            variant = tuple((n, own.get(n, "-")) for n in varying)
            found.setdefault((*key, variant), []).append(member)
    found = _by_tuned_values(found)
    for members in found.values():
        members.sort(key=scores.repetition)
        for a, b in pairwise(members):
            if scores.repetition(a) == scores.repetition(b):
                raise BenchError(
                    f"{scores.file_of(a)} and {scores.file_of(b)} are two runs of one experiment: "
                    "delete one of them"
                )
    return {key: found[key] for key in sorted(found, key=lambda k: _place(k, found[k][0]))}


def _by_tuned_values(found: dict[tuple, list[dict]]) -> dict[tuple, list[dict]]:
    """Seeds that were tuned to other values stand apart; of folds each was tuned by itself."""
    apart: dict[tuple, list[dict]] = {}
    for (*key, variant), members in found.items():
        values = [
            {} if max(scores.repetition(m)[1:]) >= 0 else (m.get("tuned") or {}).get("values", {})
            for m in members
        ]
        differ = [n for n in set().union(*values) if len({str(v.get(n)) for v in values}) > 1]
        for member, own in zip(members, values):
            told = dict(variant) | {n: json.dumps(own.get(n)) for n in differ}
            apart.setdefault((*key, tuple(sorted(told.items()))), []).append(member)
    return apart


class Results(list):
    """Records whose summary is made once, however many tables and figures are made of it."""

    @cached_property
    def table(self) -> pd.DataFrame:
        """Their :func:`summary`."""
        return summary([*self])


def summary(records: list[dict]) -> pd.DataFrame:
    """The results table in numbers: one row a cell, see :func:`cells`.

    ``mean`` and ``half_width`` are of the headline metric. With three seeds or more the interval
    is over seeds and test episodes, with three folds or versions or more over them (each has
    episodes of its own; folds overlap in their training data), otherwise over test episodes, each
    averaged over the runs first.
    ``difference`` is second minus first order, on the same test episodes of the same runs, with an
    interval of the same kind; its ``verdict`` needs three runs. ``share`` is the way from the item
    mean to the Bayes ceiling.

    Raises:
        BenchError: if there are no records, or two that are to be paired were tested on different
            episodes.
    """
    if not records:
        raise BenchError("there are no finished runs to tabulate: run a suite first")
    if isinstance(records, Results):
        return records.table.copy()
    rows = []
    members_of = cells(records)
    name_of, cost_of = names(members_of), costs.of_cells(members_of)
    runs_of = {key: [scores.of_record(m) for m in members] for key, members in members_of.items()}
    for key, runs in runs_of.items():
        members = [run.record for run in runs]
        suite, dataset, ways, shots, algorithm, variant = key
        metrics, learner = members[0]["metrics"], members[0]["experiment"]["learner"]
        result = scores.over_runs(runs)
        steps = per_step(members)
        row = {
            "suite": suite,
            "dataset": dataset,
            "synthetic": members[0]["synthetic"],
            "setting": setting(ways, shots),
            "ways": ways,
            "shots": shots,
            "algorithm": algorithm,
            "variant": _variant(variant),
            "label": name_of[key],
            "role": labels.of_record(members[0]).role or "",
            "batch_norm": learner.get("batch_norm", "") if ways or shots is None else "",
            "metric": metrics["headline"],
            "higher_is_better": metrics["higher_is_better"],
            "mean": result.mean,
            "half_width": result.half_width,
            "interval_over": scores.interval_over(runs),
            "before": steps[:, 0].mean() if steps.shape[1] > 1 else np.nan,
            "after": steps[:, -1].mean(),
            "test_steps": steps.shape[1] - 1,
        }
        partner = _first_order(runs_of, key)
        row |= _compared(runs, runs_of.get(partner, []))
        row |= {"partner": name_of.get(partner, "")}
        row |= _published(members[0], result.mean)
        row |= _share(runs_of, key)
        for name in METRICS:
            values = [m["metrics"][name]["mean"] for m in members if name in m["metrics"]]
            # as of the headline: one run that diverged leaves no mean
            row[name] = float(np.array(values, float).mean()) if values else np.nan
        for name in ("ability_correlation", "mastery_auc"):
            row[name] = _mean(m.get("recovery", {}).get(name) for m in members)
        cost = cost_of[key]
        row |= cost.numbers
        row |= {"measured_on": cost.measured_on, "measured_elsewhere": cost.is_elsewhere}
        row |= {"runs": len(members), "episodes": members[0]["evaluation"]["episodes"]}
        row["iterations"] = members[0]["experiment"]["iterations"]
        rows.append(row | {"chosen": "; ".join(dict.fromkeys(m["chosen"] for m in members))})
    return pd.DataFrame(rows).astype({"ways": "Int64", "shots": "Int64"})


def per_step(members: Sequence[dict]) -> np.ndarray:
    """The headline before the first and after each inner step at test, ``[runs, steps + 1]``.

    A run of fewer steps than another (folds may be tuned apart) stays where it ended.
    """
    headline = members[0]["metrics"]["headline"]
    found = [m["metrics"][headline]["per_step"] for m in members]
    most = max(map(len, found))
    return np.array([[*steps, *[steps[-1]] * (most - len(steps))] for steps in found], float)


def setting(ways: int | None, shots: int | None) -> str:
    """The words for a setting."""
    if shots is None:
        return f"{ways}-way, varying shots" if ways else "varying"
    if not ways and not shots:
        return "next answer"
    return f"{ways}-way {shots}-shot" if ways else f"{shots}-shot"


def names(members_of: Mapping[tuple, list[dict]]) -> dict[tuple, str]:
    """What each cell is called: its algorithm in words, with what sets it apart from others.

    Args:
        members_of: from :func:`cells`.
    """
    found = {}
    for key, members in members_of.items():
        told = [(n, v) for n, v in key[5] if n != "order"]  # which the label says
        words = str(labels.of_record(members[0]))
        found[key] = f"{words} ({_variant(tuple(told))})" if told else words
    for key, words in found.items():
        same = [k for k in found if k[:4] == key[:4] and found[k] == words]
        if len(same) > 1:  # a setting has made two algorithms one
            found |= {k: f"{words} ({k[4]})" for k in same}
    return found


def _variant(pairs: tuple) -> str:
    return ", ".join(f"{name}={value}" for name, value in pairs)


def options(record: dict) -> dict[str, str]:
    """What a run was made with; an argument that was tuned is what it is the best of."""
    experiment, tuned = record["experiment"], record.get("tuned")
    parts = experiment["data"] | experiment["learner"]
    parts |= {n: experiment.get(n) for n in ("iterations", "validations", "queries", "judged_by")}
    code = experiment.get("code") or {}  # of the user's own, which changes
    parts["code"] = ", ".join(f"{n} {v.removeprefix('sha256:')[:8]}" for n, v in code.items())
    found = {k: json.dumps(v, sort_keys=True) for k, v in parts.items() if k not in SAME_CELL}
    if tuned:
        found |= dict.fromkeys(tuned["values"], f"best of {tuned['trials']} trials")
    return found


def _place(key: tuple, record: dict) -> tuple:
    """Where a row stands in the table."""
    suite, dataset, ways, shots, algorithm, variant = key
    values = [(name, len(value), value) for name, value in variant]
    rank = labels.of_record(record).rank
    return suite, dataset, ways or 0, -1 if shots is None else shots, rank, algorithm, values


def _mean(values: Iterable[float | None]) -> float:
    values = [v for v in values if v is not None]
    return float(np.mean(values)) if values else np.nan


def _share(runs_of: dict[tuple, list[Scores]], key: tuple) -> dict:
    """How far a method gets from the item mean to the Bayes ceiling."""

    def cell(role: str) -> list[Scores]:
        found = [s for k, s in runs_of.items() if k[:4] == key[:4] and _label(s).role == role]
        return found[0] if len(found) == 1 else []

    result = Interval(np.nan, np.nan)
    runs = scores.together(runs_of[key], cell("floor"), cell("ceiling"))
    alike = all(np.array_equal(run[0].index, other.index) for run in runs for other in run)
    if runs and alike and _label(runs_of[key]).role not in ("floor", "ceiling"):
        shares = [share_of_way(*(each.values for each in run)) for run in runs]
        result = scores.over_runs([Scores(*run[0][:2], share) for run, share in zip(runs, shares)])
    return {"share": result.mean, "share_half_width": result.half_width}


def _label(runs: list[Scores]) -> Label:
    return labels.of_record(runs[0].record)


def _published(record: dict, mean: float) -> dict:
    """What a paper reports of the same method and setting, and how it compares."""
    row = published.beside(record, labels.of_record(record).order)
    if row is None:
        return {"published": np.nan, "published_interval": np.nan, "published_note": ""}
    found = published.differences(row, record)
    differs = any(not words.startswith(published.UNSTATED) for words in found)
    note = ("differs: " if differs else "") + "; ".join(found)
    return {
        "published": row.value,
        "published_interval": np.nan if row.interval is None else row.interval,
        "published_note": note or published.reached(row, mean),
    }


def _first_order(runs_of: dict[tuple, list[Scores]], key: tuple) -> tuple | None:
    """The cell of first order that belongs to one of second order, if there is just one.

    It agrees in every option that varies within both orders; where an option varies within one, it
    agrees in all but the options of the algorithm, which each order may have chosen for itself.
    """
    label, own = _label(runs_of[key]), runs_of[key][0].record
    if label.order != 2:
        return None
    found = []
    for other, runs in runs_of.items():
        if other[:4] == key[:4] and _label(runs) == label._replace(order=1):
            second, first = dict(key[5]), dict(other[5])
            ours, theirs = options(own), options(runs[0].record)
            chosen = own["experiment"]["learner"].keys() - (second.keys() & first.keys())
            varying = (second.keys() | first.keys()) - chosen - {"order"}
            if all(ours.get(n) == theirs.get(n) for n in varying):
                found.append(other)
    return found[0] if len(found) == 1 else None


def _compared(second: list[Scores], first: list[Scores]) -> dict:
    """Second minus first order over the runs that both have, if both were trained alike."""
    pairs = scores.together(second, first)
    nothing = {"difference": np.nan, "difference_half_width": np.nan, "verdict": ""}
    nothing |= {"difference_runs": 0}
    if not pairs:
        return nothing
    if not all(_trained_alike(a.record, b.record) for a, b in pairs):
        return nothing | {"verdict": NOT_ALIKE}
    runs = [Scores(a.record, a.index, np.subtract(*scores.aligned((a, b)))) for a, b in pairs]
    result, better = scores.over_runs(runs), second[0].record["metrics"]["higher_is_better"]
    verdict = _verdict(result, better)
    if any(_has_diverged(each.record) for pair in pairs for each in pair):
        verdict = DIVERGED
    return {
        "difference": result.mean,
        "difference_half_width": result.half_width,
        "verdict": TOO_FEW.get(scores.independent(runs)) or verdict,
        "difference_runs": len(runs),
    }


def _has_diverged(record: dict) -> bool:
    """Whether it gave no numbers; AUC has none too where all answers are right, or all wrong."""
    metrics = record["metrics"]
    names = [metrics["headline"], *(["nll"] if metrics["headline"] == "auc" else [])]
    return all(metrics.get(name, {}).get("mean") is None for name in names)


def _trained_alike(second: dict, first: dict) -> bool:
    """Whether two runs differ in their order and in what each algorithm may choose for itself."""

    def shared(record: dict) -> tuple:
        e = record["experiment"]
        data = {n: v for n, v in e["data"].items() if n not in ("num_workers", "spec")}
        model = [e["learner"].get(n) for n in ("model", "model_options", "batch_norm")]
        return e["queries"], e["iterations"], data, model

    checksums = {r.get("provenance", {}).get("data") for r in (second, first)} - {None}
    return shared(second) == shared(first) and len(checksums) < 2


def _verdict(difference: Interval, higher_is_better: bool) -> str:
    if not difference.excludes_zero:  # NaN included
        return NO_DIFFERENCE
    return SECOND_AHEAD if (difference.mean > 0) == higher_is_better else FIRST_AHEAD
