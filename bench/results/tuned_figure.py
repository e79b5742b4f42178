"""A figure of how much each algorithm gains by more trials."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from bench.results import plots
from bench.results.labels import ORDERS, Label
from bench.results.styles import decimal_ticks
from bench.results.tuned import Row, expected_best

WIDE = 20  # scores that differ by this factor need a logarithmic axis


def write(rows: Sequence[Row], suite: str, path: Path) -> None:
    """Writes the figure: the score to expect of the best of n trials, one line an algorithm.

    Raises:
        BenchError: if the folder cannot be written to.
    """
    plots.save(draw(rows, suite), path)


def draw(rows: Sequence[Row], suite: str) -> Figure:
    """One panel a data set and setting."""
    panels = list(dict.fromkeys((row.dataset, row.setting) for row in rows))
    figure, grid = plots.panels(len(panels))
    figure.suptitle(f"Best of n trials to expect, validation episodes\nsuite {suite}", fontsize=10)
    drawn = sorted({_label(row) for row in rows}, key=str)
    for axes, panel in zip(grid, panels):
        own = [row for row in rows if (row.dataset, row.setting) == panel]
        for row in own:
            style = plots.style(_label(row), drawn, 0) | {"label": plots.plain(row.label)}
            best = expected_best(row.scores, row.higher_is_better)
            axes.plot(range(1, row.trials + 1), best, **style | {"markersize": 3})
        low, high = axes.dataLim.intervaly
        if low > 0 and high > WIDE * low:
            axes.set_yscale("log")
            decimal_ticks(axes.yaxis)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        title = plots.plain(f"{panel[0]}, {panel[1]}")
        plots.dress(axes, title, "trials", own[0].metric, own[0].higher_is_better)
    plots.legend(figure)
    return figure


def _label(row: Row) -> Label:
    """The label that a row was written with."""
    for order, words in ORDERS.items():
        if row.label.endswith(f", {words}"):
            return Label(row.label.removesuffix(f", {words}"), order)
    return Label(row.label)
