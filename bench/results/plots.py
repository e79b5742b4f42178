"""Figures from records: adaptation step by step, price against gain, and validation curves."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.base.paths import explain_refusal, replacing
from bench.results import labels
from bench.results.answer_tables import is_curve
from bench.results.labels import Label
from bench.results.summary import cells, names, setting, summary

# A colour and a shape for each method, a filled mark and a line for second order, a hollow mark and
# dashes for first order; the colours are Okabe and Ito's and Tol's, which colour-blind readers tell
# apart, and shapes and dashes say it again.
COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"),
    *("#332288", "#882255", "#44AA99", "#999933", "#CC6677", "#117733"),
)
SHAPES = "osD^vPX<>*ph"
ROLES = {"ceiling": ("#000000", "", "-"), "floor": ("#7F7F7F", "D", ":")}
BASELINES = [("#7F7F7F", "v", ":"), ("#7F7F7F", "^", "-."), ("#BBBBBB", "s", "-.")]
NAMES = {"auc": "AUC", "mse": "MSE", "error_rate": "error rate"}


def write_all(out: Path, records: list[dict]) -> list[Path]:
    """Writes ``out/figures/<suite>-{answers,steps,price,validation}.png`` of every suite.

    A figure for which no record has numbers is left out.

    Raises:
        BenchError: if there are no records, or the folder cannot be written to.
    """
    table, paths = summary(records), []
    for suite, rows in table.groupby("suite", sort=True):
        own = cells([r for r in records if r["experiment"]["suite"] == suite])
        curved = [name for name, part in rows.groupby("dataset") if is_curve(part)]
        if curved:
            is_part = rows["dataset"].isin(curved)
            paths.append(Path(out) / "figures" / f"{suite}-answers.png")
            save(curves({k: own[k] for k, i in zip(own, is_part) if i}, rows[is_part]), paths[-1])
            most = rows.groupby("dataset")["shots"].transform("max")
            kept = ~is_part | (rows["shots"] == most)
            own = {k: own[k] for k, is_kept in zip(own, kept) if is_kept}
            rows = rows[kept]
        for name, draw in (("steps", steps), ("price", price), ("validation", validation)):
            figure = draw(own, rows)
            if figure is not None:
                paths.append(Path(out) / "figures" / f"{suite}-{name}.png")
                save(figure, paths[-1])
    return paths


def steps(members_of: dict, table: pd.DataFrame) -> Figure | None:
    """The headline metric at test after each inner step; a line across for what never adapts.

    Args:
        members_of: from :func:`bench.results.summary.cells`, of one suite.
        table: from :func:`bench.results.summary.summary`, of the same suite.
    """
    if not table["test_steps"].any():
        return None

    def draw(axes: Axes, key: tuple, style: dict) -> None:
        metrics = [m["metrics"] for m in members_of[key]]
        values = np.array([m[m["headline"]]["per_step"] for m in metrics], float).mean(0)
        if len(values) > 1:
            axes.plot(values, **style)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        else:
            axes.axhline(values[0], **style | {"marker": ""})

    title = "Test episodes, before adaptation (0) and after each inner step"
    return _panels(members_of, draw, title, "inner steps")


def price(members_of: dict, table: pd.DataFrame) -> Figure | None:
    """The headline metric with its interval against the time of one meta-iteration.

    Without the floors: beside them the intervals could not be seen. Arguments as for
    :func:`steps`.
    """
    rows = {
        key: row
        for key, row in zip(members_of, table.itertuples())
        if row.role not in ("floor", "baseline") and row.ms_per_iteration > 0
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
    return _panels(members, draw, title, "ms per meta-iteration")


def validation(members_of: dict, table: pd.DataFrame) -> Figure | None:
    """The headline metric on validation episodes over meta-iterations, one line a seed.

    Arguments as for :func:`steps`.
    """
    if not any(m["training"]["validation"] for ms in members_of.values() for m in ms):
        return None

    def draw(axes: Axes, key: tuple, style: dict) -> None:
        # one line with gaps between the runs: a thousand lines would take a second more
        curves, gap = [], np.full((1, 2), np.nan)
        for member in members_of[key]:
            curve = np.array(member["training"]["validation"], float).reshape(-1, 2)
            curves += [curve, gap] if len(curve) else []
        if curves:
            every = -(-(len(curves[0]) + 1) // 12)  # more marks would hide the line
            style |= {"markersize": 3, "linewidth": 1, "markevery": every}
            axes.plot(*np.concatenate(curves).T, **style)

    return _panels(members_of, draw, "Validation episodes while training", "meta-iterations")


def curves(members_of: dict, table: pd.DataFrame) -> Figure:
    """The headline metric against the number of answers shown, the ceiling among the methods.

    Arguments as for :func:`steps`.
    """
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
    return _panels(first, draw, "Test students, by the number of answers shown", "answers shown")


def _panels(
    members_of: dict, draw: Callable[[Axes, tuple, dict], None], title: str, x: str
) -> Figure:
    """One panel a data set and setting, one style an algorithm, one legend for all."""
    places = list(dict.fromkeys(key[1:4] for key in members_of))
    figure, grid = panels(len(places))
    suite = next(iter(members_of))[0]
    label_of = {key: labels.of_record(members[0]) for key, members in members_of.items()}
    name_of = names(members_of)
    figure.suptitle(f"{title}\nsuite {suite}", fontsize=10)
    for axes, panel in zip(grid, places):
        keys = [key for key in members_of if key[1:4] == panel]
        for key in keys:
            alike = [k for k in keys if label_of[k] == label_of[key]]
            drawn = sorted(set(label_of.values()), key=str)
            own = style(label_of[key], drawn, alike.index(key))
            draw(axes, key, own | {"label": name_of[key]})
        first = members_of[keys[0]][0]
        synthetic = " (synthetic)" if first["synthetic"] else ""
        words = "" if panel[2] is None else f", {setting(*panel[1:])}"
        metric, better = first["metrics"]["headline"], first["metrics"]["higher_is_better"]
        dress(axes, f"{panel[0]}{synthetic}{words}", x, metric, better)
    legend(figure)
    return figure


def panels(number: int) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels."""
    columns = 2 if number == 4 else min(number, 3)
    rows = -(-number // columns)
    figure = Figure(figsize=(max(3.1 * columns, 4.6), 2.6 * rows + 1), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid[number:]:
        axes.remove()
    return figure, grid[:number]


def dress(axes: Axes, title: str, x: str, metric: str, higher_is_better: bool) -> None:
    """Gives a panel its title, and its axes their names and look."""
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(x, fontsize=8)
    direction = "higher" if higher_is_better else "lower"
    axes.set_ylabel(f"{NAMES.get(metric, metric)}, {direction} is better", fontsize=8)
    if metric in ("accuracy", "error_rate"):
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")
    axes.tick_params(labelsize=8)
    axes.grid(color="#E5E5E5", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def legend(figure: Figure) -> None:
    """One legend for all panels, below them."""
    drawn = [axes.get_legend_handles_labels() for axes in figure.axes]
    handles = {name: h for hs, names in drawn for h, name in zip(hs, names)}
    columns = figure.axes[0].get_gridspec().ncols
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=min(len(handles), columns),
        fontsize=8,
        frameon=False,
    )


def style(label: Label, drawn: list[Label], variant: int) -> dict:
    """How an algorithm is drawn: by its place among those compared, first those in two orders.

    Args:
        label: of the algorithm.
        drawn: all labels of the figure, sorted.
        variant: which one of several configurations of it.
    """
    methods = sorted({(x.order is None, x.name) for x in drawn if not x.role})
    if label.role == "baseline":
        baselines = [x.name for x in drawn if x.role == "baseline"]
        colour, shape, dashes = BASELINES[baselines.index(label.name) % len(BASELINES)]
    elif label.role:
        colour, shape, dashes = ROLES[label.role]
    else:
        number = methods.index((label.order is None, label.name))
        # from the thirteenth on another shape of the same colours
        colour = COLOURS[number % len(COLOURS)]
        shape = SHAPES[(number + number // len(COLOURS)) % len(SHAPES)]
        dashes = "--" if label.order == 1 else "-"
    return {
        "color": colour,
        "marker": shape,
        "linestyle": (dashes, "-.", ":")[min(variant, 2)],
        "markersize": 4.5,
        "linewidth": 1.5,
        "markerfacecolor": "white" if label.order == 1 or variant else colour,
    }


def save(figure: Figure, path: Path) -> None:
    """Writes a picture through a temporary name.

    Raises:
        BenchError: if the folder cannot be written to.
    """
    with explain_refusal(path, "choose another folder"), replacing(path) as file:
        # without matplotlib's version in it, the same records give the same file
        figure.savefig(file, format="png", dpi=150, metadata={"Software": None})
