"""Puts the page together: what each part shows, handed to the template."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from matplotlib.ticker import MaxNLocator

from bench.base.paths import write_text
from bench.results import across, charts, failure_tables, labels, plots, published
from bench.results.answer_tables import curve, is_curve, shares
from bench.results.captions import caption
from bench.results.failed import Failure
from bench.results.report import against, answer, runs, trials
from bench.results.report.drawings import Drawings
from bench.results.summary import Results, cells, setting
from bench.results.tables import display, figure

HEADS = {
    "answers": "Test, by the number of answers shown",
    "lengths": "Test, against the time of a whole training",
    "time": "Validation, against training time",
    "steps": "Test, before and after each inner step",
    "price": "Test, against the price of a meta-iteration",
}
REDUNDANT = ["Data", "Batch norm", "Metric", "Verdict", "Second − first order"]  # told elsewhere


def write(
    out: Path,
    records: Sequence[dict[str, Any]],
    failed: Sequence[Failure] = (),
    other: Sequence[dict[str, Any]] = (),
    other_name: str = "",
) -> Path:
    """Writes ``out/report.html``.

    Args:
        out: the results folder.
        records: of all suites to be shown, and of the trials of their choices.
        failed: the runs that have none.
        other: records of another folder to compare with.
        other_name: what that folder is called.

    Raises:
        BenchError: if there are no records, or the folder cannot be written to.
    """
    path = Path(out) / "report.html"
    write_text(path, html(out, records, failed, other, other_name))
    return path


def html(
    out: Path,
    records: Sequence[dict[str, Any]],
    failed: Sequence[Failure] = (),
    other: Sequence[dict[str, Any]] = (),
    other_name: str = "",
) -> str:
    """The page; arguments as for :func:`write`."""
    results = Results(r for r in records if not trials.is_trial(r))
    tuning = [r for r in records if trials.is_trial(r)]
    table = results.table
    drawings = Drawings(sorted({labels.of_record(r) for r in results + tuning}, key=str))
    pairs = answer.pairs(table)
    members_of = cells(results)
    sections = [
        _section(members_of, tuning, table, suite, dataset, drawings)
        for suite, dataset in dict.fromkeys(zip(table["suite"], table["dataset"]))
    ]
    listed = runs.lines(results, out)
    dates = sorted(str(r["provenance"].get("date") or "")[:10] for r in results)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bench.results.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {}  # in the order that they are given
    return environment.get_template("report.html.jinja").render(
        sentences=answer.sentences(pairs),
        pairs=_forest(pairs),
        across=[_ranking(ranking) for ranking in across.across(results, failed)],
        sections=sections,
        run_headings=runs.HEADINGS,
        runs=listed,
        details=runs.packed(listed),
        against=_against(results, other),
        against_name=other_name,
        failed=failure_tables.lines(failed),
        count=len(results),
        trials=len(tuning),
        first_date=dates[0],
        last_date=dates[-1],
        symbols=drawings.symbols,
        light=drawings.light,
        dark=drawings.dark,
        rules=drawings.rules,
    )


def _against(ours: Results, other: Sequence[dict[str, Any]]) -> against.Comparison | None:
    """The comparison with another folder, if there is one."""
    theirs = [r for r in other if not trials.is_trial(r)]
    return against.compare(ours, theirs) if theirs else None


def _section(
    members_of: dict[tuple, list[dict]],
    tuning: list[dict],
    table: pd.DataFrame,
    suite: str,
    dataset: str,
    drawings: Drawings,
) -> dict[str, Any]:
    """All that is said of a data set in a suite."""
    of_data = table["dataset"].eq(dataset)
    is_own, is_alone = of_data & table["suite"].eq(suite), table["suite"][of_data].nunique() == 1
    rows = table[is_own]
    own = {key: members for key, members in members_of.items() if key[:2] == (suite, dataset)}
    curved = is_curve(rows)
    last = rows[rows["shots"] == rows["shots"].max()] if curved else rows
    return {
        "name": dataset if is_alone else f"{dataset} ({suite})",
        "id": f"{suite}-{dataset}".replace(" ", "-"),
        "suite": suite,
        "dataset": dataset,
        "synthetic": bool(rows["synthetic"].any()),
        "metric": plots.NAMES.get(rows["metric"].iloc[0], rows["metric"].iloc[0].replace("_", " ")),
        "better": "higher" if rows["higher_is_better"].iloc[0] else "lower",
        "batch_norm": ", ".join(mode for mode in rows["batch_norm"].unique() if mode),
        "table": _table(last, own, drawings),
        "curves": [_frame(curve(rows))] if curved else [],
        "shares": [_frame(shares(rows))] if rows["share"].notna().any() and curved else [],
        "caption": " ".join(
            caption(rows, rows, rows if curved else rows[:0], rows["share"].notna().any())
        ),
        "pairs": _forest(answer.pairs(rows, all_shots=True)),
        "legend": _legend(last, own, drawings),
        "figures": _figures(own, rows, drawings),
        "published": [_reported(row) for row in published.of_dataset(dataset)],
        "differs": [
            (f"{row.label}, {row.setting}", row.published_note)
            for row in rows.itertuples()
            if row.published_note
        ],
        "tuned": _tuned(trials.of_dataset(tuning, suite, dataset), drawings),
    }


def _table(rows: pd.DataFrame, own: dict, drawings: Drawings) -> dict[str, Any]:
    """The table of results: headings, and of each row its mark and its cells."""
    shown = display(rows)
    shown = shown.drop(columns=[name for name in REDUNDANT if name in shown])
    if rows["share"].notna().any():
        shown.insert(
            3, "Way to ceiling", ["-" if pd.isna(s) else f"{s:.0%}" for s in rows["share"]]
        )
    shown.insert(0, "Algorithm", shown.pop("Algorithm"))
    if shown["Setting"].nunique() == 1:
        shown = shown.drop(columns="Setting")
    values = {"Test": rows["mean"], "ms": rows["ms_per_iteration"], "MiB": rows["peak_memory_mib"]}
    values |= {"Way to ceiling": rows["share"], "Runs": rows["runs"]}
    sort_by = {name: list(values[name]) for name in values}
    lines = []
    for number, cells_ in enumerate(shown.itertuples(index=False)):
        line = [
            (name, text, sort_by[name][number] if name in sort_by else text)
            for name, text in zip(shown.columns, cells_)
        ]
        lines.append({"swatch": _swatch(rows.iloc[number], own, drawings), "cells": line})
    return {"headings": list(shown.columns), "lines": lines}


def _swatch(row, own: dict, drawings: Drawings):
    key = next(k for k in own if _is_of(k, row))
    label = labels.of_record(own[key][0])
    alike = [k for k in own if k[1:4] == key[1:4] and labels.of_record(own[k][0]) == label]
    return drawings.swatch(label, alike.index(key))


def _is_of(key: tuple, row) -> bool:
    """Whether a row of the summary is of that cell."""
    same_setting = setting(*key[2:4]) == row["setting"]
    variant = ", ".join(f"{name}={value}" for name, value in key[5])
    return same_setting and key[4] == row["algorithm"] and variant == row["variant"]


def _legend(rows: pd.DataFrame, own: dict, drawings: Drawings) -> list[tuple]:
    """The mark and the name of everything drawn."""
    found = {}
    for _, row in rows.iterrows():
        found.setdefault(row["label"], _swatch(row, own, drawings))
    return [(mark, name) for name, mark in found.items()]


def _figures(own: dict, rows: pd.DataFrame, drawings: Drawings) -> list[dict[str, Any]]:
    """One figure a chart and setting."""
    found = []
    of_suite = charts.of_suite(own, rows)
    about = f"{rows['suite'].iloc[0]}: {rows['dataset'].iloc[0]}"
    for name, head in HEADS.items():
        chart = of_suite.get(name)
        for place in dict.fromkeys(key[1:4] for key in chart.members_of) if chart else ():
            keys = [key for key in chart.members_of if key[1:4] == place]
            metrics = chart.members_of[keys[0]][0]["metrics"]
            drawing, axes = drawings.axes()
            plots.fill(axes, chart, keys, drawings.drawn)
            plots.dress(axes, "", chart.x, metrics["headline"], metrics["higher_is_better"])
            axes.set_ylabel("")
            words = "" if name == "answers" else setting(*place[1:])
            seen = ", ".join([about, head, *([words] if words else [])])
            found.append({"head": head, "setting": words, "svg": drawings.svg(drawing, seen)})
    return found


def _forest(pairs: list[answer.Pair]) -> list[dict[str, Any]]:
    """Pairs with where their interval lies, in percent of the width of a picture."""
    ends = [abs(p.share) + p.share_half_width for p in pairs if pd.notna(p.share_half_width)]
    reach = max([0.1, *(end for end in ends)])
    reach = min(reach, 1.0)

    def place(value: float) -> float:
        return 50 + 50 * min(max(value / reach, -1), 1)

    found, alike = [], Counter(p[1:4] for p in pairs)
    for pair in pairs:
        suite = pair.suite if alike[pair[1:4]] > 1 else ""  # where nothing else tells them apart
        line = {"pair": pair, "suite": suite, "reach": f"{100 * reach:.0f}"}
        if pd.notna(pair.share):
            half = 0 if pd.isna(pair.share_half_width) else pair.share_half_width
            spots = {"low": pair.share - half, "middle": pair.share, "high": pair.share + half}
            line |= {name: f"{place(value):.1f}" for name, value in spots.items()}
        found.append(line)
    return found


def _tuned(found: list[trials.Tuned], drawings: Drawings) -> dict[str, Any] | None:
    """The choice of hyper-parameters: table and curves."""
    if not found:
        return None
    most = max(t.trials for t in found)
    numbers = sorted({1, *(2**i for i in range(1, most.bit_length()) if 2**i <= most), most})
    figures = []
    for words in dict.fromkeys(t.setting for t in found):
        drawing, axes = drawings.axes()
        for each in (t for t in found if t.setting == words):
            look = plots.style(each.label, drawings.drawn, 0)
            axes.plot(range(1, each.trials + 1), each.expected, **look)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        plots.dress(axes, "", "trials", found[0].metric, True)
        axes.set_ylabel("")
        head = "Best of n trials to expect"
        figures.append(
            {"head": head, "setting": words, "svg": drawings.svg(drawing, f"{head}, {words}")}
        )
    return {"numbers": numbers, "rows": found, "figures": figures}


def _reported(row: published.Published) -> dict[str, str]:
    """A published result in words."""
    number = figure(row.metric, row.value, row.interval)
    said = {
        "network": row.backbone,
        "pretrained": row.pretrained if row.pretrained == "yes" else "",
        "inner steps": row.inner_steps,
        "test steps": row.test_steps,
        "training ways": row.train_ways if row.train_ways != row.ways else "",
        "split": row.split,
        "rotations": row.rotations if row.rotations != "none" else "",
        "queries": row.queries,
        "batch norm": row.batch_norm,
        "test episodes": row.episodes,
        "meta-iterations": row.iterations,
        "±": row.interval_is,
    }
    words = [f"{name}: {value}" for name, value in said.items() if value]
    return {
        "Method": row.method,
        "Setting": setting(row.ways, row.shots),
        "Result": number,
        "Protocol": "; ".join([*words, *([row.note] if row.note else [])]),
        "Source": row.source + ("" if row.first_hand == "yes" else " (as others quote it)"),
    }


def _ranking(ranking: across.Ranking) -> dict[str, Any]:
    """The methods of one kind of data, in words."""
    shown = _frame(across.display(ranking))
    return {"title": ranking.kind, "caption": across.caption(ranking), **shown}


def _frame(frame: pd.DataFrame) -> dict[str, Any]:
    """A table of words for the template."""
    return {"headings": list(frame.columns), "lines": frame.to_numpy().tolist()}
