"""A figure of a verdict: how far each method is behind the best, at each number shown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bench.results import plots, verdict_words

COLOURS = {"best": "#0072B2", "alike": "#56B4E9", "behind": "#D55E00"}


def write(numbers: Mapping[str, Any], path: Path) -> None:
    """Writes the figure.

    Raises:
        BenchError: if the folder cannot be written to.
    """
    plots.save(draw(numbers), path)


def draw(numbers: Mapping[str, Any]) -> Figure:
    """One panel a number shown; in each a line a method, the best of all on top."""
    answers, settings = numbers["judged_by"] == "log_loss", list(numbers["best"].items())
    methods = [m["algorithm"] for m in numbers["methods"]]
    names = [verdict_words.name(m).replace("$", r"\$") for m in numbers["methods"]]
    size = (2 + 2 * len(settings), 1.4 + 0.28 * len(methods))
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(
        "Behind the best method,\n95 % intervals for all comparisons together", fontsize=10
    )
    unit = 1 if answers else 100
    for axes, (n, best) in zip(
        figure.subplots(1, len(settings), sharey=True, squeeze=False)[0], settings
    ):
        axes.axvline(0, color="#7F7F7F", linewidth=0.8)
        axes.plot(0, methods.index(best["method"]), "D", color=COLOURS["best"], markersize=5)
        for other in best["behind"]:
            mean, half = (unit * (v or 0) for v in other["behind"])
            colour = COLOURS["behind" if other["sure"] else "alike"]
            place = methods.index(other["method"])
            axes.errorbar(mean, place, xerr=half, fmt="o", color=colour, markersize=4, capsize=2)
        plural = "" if n == "1" else "s"
        axes.set_title(f"{n} answer{plural} shown" if answers else f"{n}-shot", fontsize=9)
        axes.set_xlabel("log-loss" if answers else "percentage points", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(axis="x", color="#E5E5E5", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_yticks(range(len(methods)), names)
    figure.axes[0].invert_yaxis()  # for all of them, as they share the axis
    return figure
