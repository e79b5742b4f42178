"""How time and memory of this suite grow with tasks, inner steps, cores and processes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from rich import box
from rich.console import Console
from rich.table import Table

from bench.base.errors import BenchError, nearest
from bench.checks.speed.measure import Contestant, Say, interleaved, peak_memory
from bench.checks.speed.workloads import Workload
from bench.results.plots import save
from bench.results.styles import decimal_ticks

VALUES = {
    "tasks": (1, 2, 4, 8, 16, 32),
    "inner_steps": (1, 2, 5, 10, 20, 50),
    "devices": (1, 2),
    "cores": (1, 2, 4, 8, 16),
}
LINES = {  # contestant and order; recomputing shows in memory
    "order 2": ("maml_bench", 2),
    "order 2, recompute": ("maml_bench_recompute", 2),
    "order 1": ("maml_bench", 1),
    "order 2, one process": ("maml_bench_one_process", 2),  # shows in the use of several cores
}
ONLY = {"order 2, recompute": ("inner_steps",), "order 2, one process": ("cores",)}


def measure(workload: Workload, what: str, rounds: int, cores: int, say: Say) -> list[dict]:
    """Time and memory of a meta-iteration for growing tasks, inner steps, cores or processes.

    The lines are timed in turn.

    Args:
        workload: what is varied.
        what: ``"tasks"``, ``"inner_steps"``, ``"cores"`` of one run, or ``"devices"``: processes
            with a core each, which share the tasks.
        rounds: turns of each.
        cores: how many may be used.
        say: told how it goes.

    Returns:
        Rows with ``line``, ``value``, ``ms`` (the median of ``seconds``) and ``peak_mib``.

    Raises:
        BenchError: for something else to vary.
    """
    if what not in VALUES:
        raise BenchError(f"--scaling {what}: {nearest(what, VALUES)}")
    on_cores = what in ("devices", "cores")
    values = [v for v in VALUES[what] if not on_cores or v <= cores]
    if what == "devices" and workload.tasks % values[-1]:
        raise BenchError(f"--tasks {workload.tasks} cannot be shared evenly by {values[-1]}")
    lines = {n: who for n, who in LINES.items() if what in ONLY.get(n, VALUES)}
    rows = []
    for value in values:
        say(f"{value} {what.replace('_', ' ')}")
        varied = workload if on_cores else replace(workload, **{what: value})
        used = value if on_cores else cores
        entered = [(Contestant(name), varied, order) for name, order in lines.values()]
        timings, _ = interleaved(entered, rounds, used, _silent)
        for line, (contestant, _, order), of_one in zip(lines, entered, timings):
            # devices: a process for each core; otherwise one process with all of them
            timing = of_one[-1 if what == "devices" else 0]
            share = replace(varied, tasks=varied.tasks // timing.processes)
            rows.append(
                {
                    "line": line,
                    "value": value,
                    "ms": 1000 * float(np.median(timing.seconds)),
                    "seconds": timing.seconds,
                    "peak_mib": peak_memory(contestant, share, order, used),
                }
            )
    return rows


def show(workload: Workload, what: str, rows: list[dict], console: Console) -> None:
    """Prints the table."""
    title = f"{workload.name}: growth with {what.replace('_', ' ')}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("", what.replace("_", " "), "ms", "MiB"):
        table.add_column(heading, justify="left" if not heading else "right")
    for row in rows:
        table.add_row(row["line"], str(row["value"]), f"{row['ms']:.1f}", f"{row['peak_mib']:.0f}")
    console.print(table)


def plot(workload: Workload, what: str, rows: list[dict], path: Path) -> None:
    """Time and memory, side by side, on logarithmic axes."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    styles = {line: style for line, style in zip(LINES, ("o-", "^-.", "s--", "v:"))}
    for axes, (key, name) in zip(
        figure.subplots(1, 2), (("ms", "ms a meta-iteration"), ("peak_mib", "MiB above imports"))
    ):
        for line in dict.fromkeys(r["line"] for r in rows):
            points = [r for r in rows if r["line"] == line]
            axes.plot(
                [r["value"] for r in points], [r[key] for r in points], styles[line], label=line
            )
        axes.set(xscale="log", yscale="log", xlabel=what.replace("_", " "), ylabel=name)
        values = sorted({r["value"] for r in rows})
        axes.set_xticks(values, [str(v) for v in values])
        axes.xaxis.set_minor_locator(NullLocator())
        decimal_ticks(axes.yaxis)
        axes.legend(fontsize=8)
    figure.suptitle(workload.about, fontsize=10)
    save(figure, path)


def _silent(words: str) -> None:
    pass
