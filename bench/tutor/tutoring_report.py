"""``maml-bench check-tutoring``: a record, a table and a figure of what came out."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


def check(policies: Sequence[str], size: Size, out: Path, console: Console) -> None:
    """Measures, prints a table, and writes ``out/tutoring/tutoring.json`` and ``.png``.

    Args:
        policies: keys of :data:`bench.tutor.policies.POLICIES`.
        size: how much to compute.
        out: the results folder.
        console: where to print.

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
    plots.save(draw(record), path.with_suffix(".png"))
    show(record, console)
    for written in (path, path.with_suffix(".png")):
        console.print(f"wrote {written}", highlight=False)


def show(record: dict[str, Any], console: Console) -> None:
    """Prints both tables."""
    last, goal = record["size"]["questions"], f"{record['goal']:.0%}"
    at = [n for n in (5, 10, 20) if n < last] + [last]
    grid = Table(title="Skills judged right (synthetic)", title_justify="left", box=None)
    for heading in ("selection", *(f"after {n}" for n in at), f"{goal} after", "verdicts", "true"):
        grid.add_column(heading, justify="left" if heading == "selection" else "right")
    for name, found in record["judging"].items():
        shares = [f"{found['right'][n - 1]:.0%}" for n in at]
        true = found["decided_right"][-1]
        verdicts = [f"{found['decided'][-1]:.0%}", "-" if true is None else f"{true:.0%}"]
        grid.add_row(name, *shares, str(found["until_goal"] or f"> {last}"), *verdicts)
    console.print(grid, "")
    for name, found in record["judging"].items():
        pairs = ", ".join(f"{said:.0%}: {true:.0%}" for said, true, _ in found["calibration"])
        console.print(f"{name}: said to be mastered, and is: {pairs}", highlight=False)
    last = record["size"]["practice"]
    for dataset, ways in record["practising"].items():
        grid = Table(title=f"Practice, {dataset} (synthetic)", title_justify="left", box=None)
        for heading in ("chosen by", "half have mastered all after", f"all after {last}", "skills"):
            grid.add_column(heading, justify="left" if heading == "chosen by" else "right")
        for way, found in ways.items():
            median = str(found["median"] or f"> {last}")
            shares = (f"{found[n][-1]:.0%}" for n in ("mastered", "skills"))
            grid.add_row(way, median, *shares)
        console.print("", grid)


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
