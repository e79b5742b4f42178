"""Figures of what runs have predicted: confusion matrices and reliability diagrams."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.results import confusion as confusions
from bench.results import plots
from bench.results.charts import Chart

MOST_CLASSES = 20  # that can be read: the hardest
COLUMNS = 3


def confusion(confused: Mapping[tuple, pd.DataFrame], place: Mapping[tuple, dict]) -> Figure:
    """A matrix for each algorithm: of the queries of a class (row), the share taken for another.

    Args:
        confused: from :func:`bench.results.confusion.pairs`, by cell.
        place: what each cell is called.
    """
    columns = min(len(confused), COLUMNS)
    rows = -(-len(confused) // columns)
    figure = Figure(figsize=(4.6 * columns + 0.6, 4.4 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes in grid[len(confused) :]:
        axes.remove()
    image = None
    chosen: dict[tuple, list[str]] = {}  # the same classes for all algorithms of a panel
    for axes, (key, table) in zip(grid, confused.items()):
        if key[1:4] not in chosen:
            chosen[key[1:4]] = confusions.by_class(table)["class"].head(MOST_CLASSES).tolist()
        classes = chosen[key[1:4]]
        image = axes.imshow(confusions.matrix(table, classes), cmap="Blues", vmin=0, vmax=1)
        axes.set_facecolor("#EEEEEE")  # of two that never met
        size = 8 if len(classes) <= 10 else 6
        short = [name if len(name) <= 24 else f"…{name[-23:]}" for name in classes]
        axes.set_xticks(range(len(classes)), short, rotation=90, fontsize=size)
        axes.set_yticks(range(len(classes)), short, fontsize=size)
        words = place[key]
        all_there = table["true"].nunique() <= len(classes)
        part = (
            ""
            if all_there
            else f"\nthe {len(classes)} hardest of {table['true'].nunique()} classes"
        )
        title = f"{words['Algorithm']}\n{words['Data']}, {words['Setting']}{part}"
        axes.set_title(title, fontsize=8)
        axes.set_xlabel("predicted", fontsize=8)
        axes.set_ylabel("true", fontsize=8)
    figure.suptitle(
        "Share of queries taken for a class, where both were in the episode", fontsize=10
    )
    figure.colorbar(image, ax=figure.axes, shrink=0.6, format=lambda v, _: f"{100 * v:.0f}%")
    return figure


def calibration(members_of: dict, reliable: Mapping[tuple, pd.DataFrame]) -> Figure:
    """Share of right predictions against their probability; the diagonal is perfect.

    Args:
        members_of: the records of each cell.
        reliable: from :func:`bench.results.calibration.reliability`, by cell.
    """

    def draw(axes: Axes, key: tuple, style: dict) -> None:
        axes.plot(reliable[key]["probability"], reliable[key]["right"], **style)

    title, x = "Calibration on test queries", "predicted probability"
    figure = plots.draw(Chart(title, x, members_of, draw))
    for axes in figure.axes:
        axes.plot([0, 1], [0, 1], color="#7F7F7F", linewidth=0.8, zorder=0)
        axes.set_ylabel("share that came true", fontsize=8)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")
    return figure
