"""The charts of each suite as pictures: one panel a data set and setting, one legend."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.base.paths import explain_refusal, replacing
from bench.results import charts, labels
from bench.results.charts import Chart
from bench.results.labels import Label
from bench.results.styles import style
from bench.results.summary import cells, names, setting, summary

SUFFIXES = (".png", ".pdf")
METADATA = {"png": ["Software"], "pdf": ["Creator", "Producer", "CreationDate"]}
LEGEND_ROW = 0.18  # inches; two rows of it have room anyway
NAMES = {"auc": "AUC", "mse": "MSE", "error_rate": "error rate"}


def write_all(out: Path, records: list[dict]) -> list[Path]:
    """Writes ``out/figures/<suite>-{answers,lengths,steps,price,time,validation}`` as PNG and PDF.

    A figure for which no record has numbers is left out.

    Raises:
        BenchError: if there are no records, or the folder cannot be written to.
    """
    table, paths = summary(records), []
    for suite, rows in table.groupby("suite", sort=True):
        own = cells([r for r in records if r["experiment"]["suite"] == suite])
        for name, chart in charts.of_suite(own, rows).items():
            figure = draw(chart)
            for suffix in SUFFIXES:
                paths.append(Path(out) / "figures" / f"{suite}-{name}{suffix}")
                save(figure, paths[-1])
    return paths


def draw(chart: Chart) -> Figure:
    """One panel a data set and setting, one style an algorithm, one legend for all."""
    places = list(dict.fromkeys(key[1:4] for key in chart.members_of))
    figure, grid = panels(len(places))
    suite = next(iter(chart.members_of))[0]
    figure.suptitle(f"{chart.title}\nsuite {suite}", fontsize=10)
    drawn = sorted({labels.of_record(m[0]) for m in chart.members_of.values()}, key=str)
    for axes, place in zip(grid, places):
        keys = [key for key in chart.members_of if key[1:4] == place]
        fill(axes, chart, keys, drawn)
        first = chart.members_of[keys[0]][0]
        synthetic = " (synthetic)" if first["synthetic"] else ""
        words = "" if place[2] is None else f", {setting(*place[1:])}"
        metric, better = first["metrics"]["headline"], first["metrics"]["higher_is_better"]
        dress(axes, f"{place[0]}{synthetic}{words}", chart.x, metric, better)
    legend(figure)
    return figure


def fill(axes: Axes, chart: Chart, keys: list[tuple], drawn: list[Label]) -> None:
    """Draws the cells of one panel, each in its style.

    Args:
        axes: where.
        chart: what.
        keys: the cells, all of one data set and setting.
        drawn: the labels of all that shall differ from each other in style.
    """
    label_of = {key: labels.of_record(chart.members_of[key][0]) for key in keys}
    name_of = names({key: chart.members_of[key] for key in keys})
    for key in keys:
        alike = [k for k in keys if label_of[k] == label_of[key]]
        own = style(label_of[key], drawn, alike.index(key))
        chart.draw(axes, key, own | {"label": plain(name_of[key])})


def plain(words: str) -> str:
    """Words for a figure, of which nothing is read as mathematics."""
    return words.replace("$", r"\$")


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
    """One legend for all panels, below them; a long one makes the figure higher."""
    drawn = [axes.get_legend_handles_labels() for axes in figure.axes]
    handles = {name: h for hs, names in drawn for h, name in zip(hs, names)}
    columns = min(len(handles), figure.axes[0].get_gridspec().ncols)
    rows = -(-len(handles) // columns)
    figure.set_figheight(figure.get_figheight() + LEGEND_ROW * max(rows - 2, 0))
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=columns,
        fontsize=8,
        frameon=False,
    )


def save(figure: Figure, path: Path) -> None:
    """Writes a picture, in the format that its name ends with, through a temporary name.

    Raises:
        BenchError: if the folder cannot be written to.
    """
    form = path.suffix.removeprefix(".")
    with explain_refusal(path, "choose another folder"), replacing(path) as file:
        # without versions and dates in it, the same records give the same file
        figure.savefig(file, format=form, dpi=150, metadata=dict.fromkeys(METADATA[form]))
