"""``maml-bench check-tutoring``: a record, a table and a figure of what came out."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from bench.base.errors import BenchError
from bench.base.paths import write_text
from bench.results import plots
from bench.results.provenance import provenance
from bench.tutor import tutoring
from bench.tutor.policies import POLICIES
from bench.tutor.selection_report import STYLES
from bench.tutor.tutoring import FIXED, GOAL, RANDOM, TUTOR, Size

WAYS = {FIXED: ("#D55E00", "--"), RANDOM: ("#7F7F7F", ":"), TUTOR: ("#0072B2", "-")}
SCHEMA = 1


def check(policies: Sequence[str], size: Size, out: Path, console: Console) -> dict[str, Any]:
    """Measures, prints tables, and writes ``tutoring.json``, ``.md`` and ``.png``.

    Args:
        policies: keys of :data:`bench.tutor.policies.POLICIES`.
        size: how much to compute.
        out: the results folder, in whose ``tutoring`` they lie.
        console: where to print.

    Returns:
        The record, from which :func:`markdown` makes the tables.

    Raises:
        BenchError: for a policy that is not known, and sizes that make no sense.
    """
    for name in policies:
        if name not in POLICIES:
            raise BenchError(f"unknown selection {name!r}: known are {', '.join(POLICIES)}")
    for name, value in size._asdict().items():
        if value < 2 or (name == "questions" and value >= tutoring.ITEMS):
            raise BenchError(
                f"{name}={value}: give 2 or more, and fewer questions than {tutoring.ITEMS}"
            )
    with console.status("asking made-up students"):
        judging = dict(tutoring.judging(policies, size))
    practising: dict[str, dict[str, Any]] = {}
    with console.status("letting made-up students practise"):
        for dataset, way, found in tutoring.practising(size):
            practising.setdefault(dataset, {})[way] = found
    record = {
        "schema": SCHEMA,
        "synthetic": True,
        "size": size._asdict(),
        "goal": GOAL,
        "judging": judging,
        "practising": practising,
        "provenance": provenance(),
    }
    path = Path(out) / "tutoring" / "tutoring.json"
    write_text(path, json.dumps(record, indent=1, allow_nan=False) + "\n")
    write_text(path.with_suffix(".md"), markdown(record) + "\n")
    plots.save(draw(record), path.with_suffix(".png"))
    show(record, console)
    for written in (path, path.with_suffix(".md"), path.with_suffix(".png")):
        console.print(f"wrote {written}", highlight=False)
    return record


def show(record: dict[str, Any], console: Console) -> None:
    """Prints all tables."""
    for title, table in tables(record).items():
        grid = Table(title=title, title_justify="left", box=None)
        for number, heading in enumerate(table):
            grid.add_column(heading, justify="right" if number else "left")
        for row in table.itertuples(index=False):
            grid.add_row(*row)
        console.print(grid, "")


def markdown(record: dict[str, Any]) -> str:
    """All tables for a README."""
    return "\n\n".join(
        f"**{title}**\n\n"
        + table.to_markdown(index=False, colalign=("left", *["right"] * (table.shape[1] - 1)))
        for title, table in tables(record).items()
    )


def tables(record: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """What came out, in words, by the title of its table."""
    last, goal = record["size"]["questions"], f"{record['goal']:.0%}"
    at = [n for n in (5, 10, 20) if n < last] + [last]
    judged, trusted = [], []
    for name, found in record["judging"].items():
        shares = {f"after {n}": f"{found['right'][n - 1]:.0%}" for n in at}
        true = found["decided_right"][-1]
        judged.append(
            {"selection": name}
            | shares
            | {
                f"{goal} after": str(found["until_goal"] or f"> {last}"),
                "verdicts": f"{found['decided'][-1]:.0%}",
                "true": "-" if true is None else f"{true:.0%}",
            }
        )
        pairs = [f"{said:.0%}: {share:.0%}" for said, share, _ in found["calibration"]]
        trusted.append({"selection": name, "said: true": ", ".join(pairs)})
    made = {
        "Skills judged right (synthetic)": pd.DataFrame(judged),
        "Said to be mastered, and is (synthetic)": pd.DataFrame(trusted),
    }
    last = record["size"]["practice"]
    for dataset, ways in record["practising"].items():
        made[f"Practice, {dataset} (synthetic)"] = pd.DataFrame(
            {
                "chosen by": way,
                "half have mastered all after": str(found["median"] or f"> {last}"),
                f"all after {last}": f"{found['mastered'][-1]:.0%}",
                "skills": f"{found['skills'][-1]:.0%}",
            }
            for way, found in ways.items()
        )
    return made


def draw(record: dict[str, Any]) -> Figure:
    """Skills judged right, calibration, and mastery by practice."""
    datasets = record["practising"]
    figure = Figure(figsize=(3.4 * (2 + len(datasets)), 3.6), layout="constrained")
    first, second, *others = figure.subplots(1, 2 + len(datasets))
    for name, found in record["judging"].items():
        color, marker, line = STYLES[name]
        n = range(1, len(found["right"]) + 1)
        first.plot(n, found["right"], color=color, linestyle=line, label=name)
        said, true, _ = zip(*found["calibration"])
        second.plot(said, true, color=color, marker=marker, linestyle=line, label=name)
    first.axhline(record["goal"], color="#B0B0B0", linewidth=0.8)
    second.plot([0, 1], [0, 1], color="#B0B0B0", linewidth=0.8)
    _finish(first, "skills judged right", "questions asked")
    _finish(second, "share that is mastered", "probability of mastery, as said")
    for axes, (dataset, ways) in zip(others, datasets.items()):
        for way, found in ways.items():
            color, line = WAYS[way]
            n = range(1, len(found["skills"]) + 1)
            axes.plot(n, found["skills"], color=color, linestyle=line, label=way)
        _finish(axes, "skills mastered", f"questions practised, {dataset}")
    figure.suptitle("The tutor on made-up students (synthetic)", fontsize=10)
    return figure


def _finish(axes: Axes, vertical: str, horizontal: str) -> None:
    axes.set_ylabel(vertical, fontsize=8)
    axes.set_xlabel(horizontal, fontsize=8)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")
    axes.tick_params(labelsize=8)
    axes.grid(color="#E5E5E5", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)
