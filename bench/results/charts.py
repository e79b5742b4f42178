"""What the figures show, one chart a function: all that is drawn into one pair of axes.

Each takes the cells of one suite (:func:`bench.results.summary.cells`) and their rows
(:func:`bench.results.summary.summary`), and is None where no record has its numbers.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bench.results.answer_tables import is_curve
from bench.results.lengths import longest, without_length
from bench.results.styles import decimal_ticks
from bench.results.summary import per_step


class Chart(NamedTuple):
    """What is drawn of each cell.

    Attributes:
        title: what it shows.
        x: what the horizontal axis is.
        members_of: the cells that are drawn, and their records.
        draw: takes axes, the key of a cell and its style.
    """

    title: str
    x: str
    members_of: dict[tuple, list[dict]]
    draw: Callable[[Axes, tuple, dict], None]


def of_suite(members_of: dict, table: pd.DataFrame) -> dict[str, Chart]:
    """All charts of a suite by name.

    Where a data set is a curve over the answers shown, or an algorithm is trained for several
    lengths, the other charts have the last point.
    """
    found = {}
    curved = [name for name, part in table.groupby("dataset") if is_curve(part)]
    if curved:
        is_part = table["dataset"].isin(curved)
        part = {key: members_of[key] for key, is_in in zip(members_of, is_part) if is_in}
        found["answers"] = curves(part, table[is_part])
        most = table.groupby("dataset")["shots"].transform("max")
        kept = ~is_part | (table["shots"] == most)
        members_of = {key: members_of[key] for key, is_kept in zip(members_of, kept) if is_kept}
        table = table[kept]
    lengths = of_lengths(members_of, table)
    if lengths:
        found["lengths"] = lengths
        last = {*longest(members_of).values()}
        kept = [key in last for key in members_of]
        members_of = {key: members_of[key] for key, is_kept in zip(members_of, kept) if is_kept}
        table = table[kept]
    for make in (steps, price, time, validation):
        if chart := make(members_of, table):
            found[make.__name__] = chart
    return found


def steps(members_of: dict, table: pd.DataFrame) -> Chart | None:
    """The headline metric at test after each inner step; a line across for what never adapts."""
    if not table["test_steps"].any():
        return None

    def draw(axes: Axes, key: tuple, style: dict) -> None:
        values = per_step(members_of[key]).mean(0)
        if len(values) > 1:
            axes.plot(values, **style)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        else:
            axes.axhline(values[0], **style | {"marker": ""})

    title = "Test episodes, before adaptation (0) and after each inner step"
    return Chart(title, "inner steps", members_of, draw)


def price(members_of: dict, table: pd.DataFrame) -> Chart | None:
    """The headline metric with its interval against the time of one meta-iteration.

    Without the floors, beside which the intervals could not be seen, and without what was measured
    on another kind of machine than the rest.
    """
    rows = {
        key: row
        for key, row in zip(members_of, table.itertuples())
        if row.role not in ("floor", "baseline")
        and row.ms_per_iteration > 0
        and not row.measured_elsewhere
    }
    if not rows:
        return None

    def draw(axes: Axes, key: tuple, style: dict) -> None:
        row, style = rows[key], style | {"linestyle": "", "capsize": 4}
        axes.errorbar(row.ms_per_iteration, row.mean, row.half_width, **style)
        slowest = max(r.ms_per_iteration for k, r in rows.items() if k[1:4] == key[1:4])
        axes.set_xlim(0, 1.15 * slowest)
        axes.margins(y=0.2)

    title = "Price against gain: test result with its 95 % interval"
    members = {key: members_of[key] for key in rows}
    return Chart(title, "ms per meta-iteration", members, draw)


def validation(members_of: dict, table: pd.DataFrame) -> Chart | None:
    """The headline metric on validation episodes over meta-iterations, one line a seed."""
    return _validated(
        members_of, "Validation episodes while training", "meta-iterations", lambda training: 1.0
    )


def time(members_of: dict, table: pd.DataFrame) -> Chart | None:
    """The headline metric on validation episodes over the time spent, one line a seed."""

    def minutes(training: dict) -> float:
        seconds = training["seconds"] or np.nan  # of a meta-iteration, validation included
        return seconds / 60 / training["iterations"]

    return _validated(
        members_of, "Validation episodes by training time", "minutes of training", minutes
    )


def _validated(members_of: dict, title: str, x: str, unit: Callable[[dict], float]) -> Chart | None:
    """Validation curves; ``unit`` is how far an iteration is along the horizontal axis."""
    trained = {
        key: members
        for key, members in members_of.items()
        if any(m["training"]["validation"] for m in members)
    }
    if not trained:
        return None

    def draw(axes: Axes, key: tuple, style: dict) -> None:
        # one line with gaps between the runs: a thousand lines would take a second more
        curves, gap = [], np.full((1, 2), np.nan)
        for member in trained[key]:
            curve = np.array(member["training"]["validation"], float).reshape(-1, 2)
            if len(curve):
                curve[:, 0] *= unit(member["training"])
                curves += [curve, gap]
        every = -(-(len(curves[0]) + 1) // 12)  # more marks would hide the line
        style |= {"markersize": 3, "linewidth": 1, "markevery": every}
        axes.plot(*np.concatenate(curves).T, **style)

    return Chart(title, x, trained, draw)


def curves(members_of: dict, table: pd.DataFrame) -> Chart:
    """The headline metric against the number of answers shown, the ceiling among the methods."""
    row_of = dict(zip(members_of, table.itertuples()))
    lines: dict[tuple, list] = {}
    for key, row in row_of.items():
        lines.setdefault((*key[:3], None, *key[4:]), []).append(row)

    def draw(axes: Axes, key: tuple, style: dict) -> None:
        x, y, half = (
            [getattr(row, name) for row in lines[key]] for name in ("shots", "mean", "half_width")
        )
        axes.errorbar(x, y, half, **style, capsize=2, elinewidth=0.8)
        axes.set_xscale("log")
        axes.set_xticks(x, [str(n) for n in x])
        axes.minorticks_off()

    first = {}  # of each line any record: the panels want to know metric and data
    for key, members in members_of.items():
        first.setdefault((*key[:3], None, *key[4:]), members)
    return Chart("Test students, by the number of answers shown", "answers shown", first, draw)


def of_lengths(members_of: dict, table: pd.DataFrame) -> Chart | None:
    """The headline metric at test against the time of training, where there are several lengths.

    Each point is a training of its own to the end of its own schedule: what so many minutes buy.
    Its time is the median of its seeds: one may have shared its cores with other work.
    """
    lines: dict[tuple, list] = {}
    for (key, members), row in zip(members_of.items(), table.itertuples()):
        seconds = [m["training"]["seconds"] for m in members]
        if all(seconds):
            point = np.median(seconds) / 60, row.mean, row.half_width
            lines.setdefault(without_length(key), []).append(point)
    lines = {key: points for key, points in lines.items() if len(points) > 1}
    if not lines:
        return None

    def draw(axes: Axes, key: tuple, style: dict) -> None:
        x, y, half = zip(*sorted(lines[key]))
        axes.errorbar(x, y, half, **style, capsize=2, elinewidth=0.8)
        axes.set_xscale("log")
        decimal_ticks(axes.xaxis)

    first: dict[tuple, list] = {}  # of each line any records: the panels want metric and data
    for key, members in members_of.items():
        if without_length(key) in lines:
            first.setdefault(without_length(key), members)
    title = "Test episodes by training time, each point a training of its own"
    return Chart(title, "minutes of training", first, draw)
