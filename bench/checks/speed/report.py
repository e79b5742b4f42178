"""The table, the plot and the record of what was measured."""

import warnings
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table

from bench.checks import record_files
from bench.results.plots import save

BASE = ("learn2learn", "plain_loop")  # ratios are against the first of these that was measured
HEADINGS = (
    "Contestant",
    "Split",
    "ms",
    "ratio",
    "1 process, ms",
    "ratio",
    "x floor",
    "MiB",
    "start, s",
)
OURS, PEERS = "#0072B2", "#B0B0B0"


def result(row: dict) -> dict:
    """The best split of a contestant: its median and quartiles in ms."""
    best = min(row["timings"], key=lambda t: np.median(t["seconds"]))
    low, middle, high = 1000 * np.percentile(best["seconds"], [25, 50, 75])
    return best | {"ms": middle, "ms_low": low, "ms_high": high}


def rows_of(record: dict) -> list[dict]:
    """One row a contestant, fastest first, with ratios to the base round by round."""
    found = {row["contestant"]: result(row) for row in record["rows"]}
    base_name = next((n for n in BASE if n in found), next(iter(found)))
    base = found[base_name]
    base_row = next(row for row in record["rows"] if row["contestant"] == base_name)
    floor = record["floor"]["operations"] / record["floor"]["operations_per_second"] * 1000
    rows = []
    for row in record["rows"]:
        values = found[row["contestant"]]
        ratios = np.divide(values["seconds"], base["seconds"])
        one, base_one = (1000 * np.median(r["timings"][0]["seconds"]) for r in (row, base_row))
        threads, on_gpu = record["cores"] // values["processes"], _on_gpu(record)
        rows.append(
            {
                "contestant": row["contestant"].replace("_", "-"),
                "split": "GPU" if on_gpu else f"{values['processes']} x {threads}",
                **{k: values[k] for k in ("ms", "ms_low", "ms_high")},
                "ratio": float(np.median(ratios)),
                "ratio_low": float(np.percentile(ratios, 25)),
                "ratio_high": float(np.percentile(ratios, 75)),
                "one_ms": float(one),
                "one_ratio": float(one / base_one),
                "of_floor": values["ms"] / floor,
                "peak_mib": row["peak_mib"],
                "start": values["about"]["seconds_to_start"],
            }
        )
    return sorted(rows, key=lambda r: r["ms"])


def cells(row: dict) -> list[str]:
    """A row in words."""
    digits = 1 if row["ms"] < 20 else 0
    return [
        row["contestant"],
        row["split"],
        f"{row['ms']:.{digits}f} ({row['ms_low']:.{digits}f}-{row['ms_high']:.{digits}f})",
        f"{row['ratio']:.2f} ({row['ratio_low']:.2f}-{row['ratio_high']:.2f})",
        f"{row['one_ms']:.{digits}f}",
        f"{row['one_ratio']:.2f}",
        f"{row['of_floor']:.1f}",
        "-" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}",
        f"{row['start']:.1f}",
    ]


def title(record: dict) -> str:
    """What was measured, in words."""
    w = record["workload"]
    order = {1: "first", 2: "second"}[record["order"]]
    return (
        f"{w['name']}, {order} order: {w['about']}; {w['tasks']} tasks, "
        f"{w['inner_steps']} inner steps{' on a GPU' if _on_gpu(record) else ''}"
    )


def _on_gpu(record: dict) -> bool:
    return record["workload"].get("accelerator") == "gpu"


def caption(record: dict) -> str:
    """How it was measured, in words."""
    names = [row["contestant"] for row in record["rows"]]
    base = next((n for n in BASE if n in names), names[0]).replace("_", "-")
    floor = record["floor"]
    ms = floor["operations"] / floor["operations_per_second"] * 1000
    where = (
        f"each in its best split (processes x threads) of {record['cores']} cores (processes "
        "without exchange of gradients), and beside it as one process with all of them"
    )
    memory, device = "peak above imports, one process, usual allocator", ""
    if _on_gpu(record):
        where = "each in one process, float32 without TF32"
        memory = "peak of the GPU's memory, which JAX does not tell"
        told = [t["about"]["device"] for row in record["rows"] for t in row["timings"]]
        device = f"{next((d for d in told if d), 'a GPU')}, "
    text = (
        f"Median (quartiles) of {record['rounds']} interleaved rounds; ratio to {base} round by "
        f"round, {where}. Floor: {floor['operations'] / 1e9:.2f} GFLOP of the plain loop at the "
        f"measured {floor['operations_per_second'] / 1e9:.0f} GFLOP/s of a matrix product, "
        f"{ms:.1f} ms. MiB: {memory}. "
        f"{device}{record['provenance']['device']}, torch {record['provenance']['torch']}; "
        f"allocator: {record['allocator']}."
    )
    refused = {n.replace("_", "-"): e for n, e in record["refused"].items()}
    return text + "".join(f" Not timed: {n} ({e})." for n, e in refused.items())


def show(record: dict, console: Console) -> None:
    """Prints the table of one record."""
    table = Table(title=title(record), title_justify="left", box=box.SIMPLE_HEAD)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == HEADINGS[0] else "right")
    for row in rows_of(record):
        table.add_row(*cells(row), style="bold" if row["contestant"].startswith("maml") else "")
    console.print(table)
    console.print(caption(record), style="dim")


def markdown(found: list[dict]) -> str:
    """All tables for a README."""
    parts = []
    for record in found:
        lines = [f"**{title(record)}**", "", "| " + " | ".join(HEADINGS) + " |"]
        lines.append("| --- |" + " ---: |" * (len(HEADINGS) - 1))
        lines += ["| " + " | ".join(cells(row)) + " |" for row in rows_of(record)]
        parts.append("\n".join([*lines, "", caption(record)]))
    return "\n\n".join(parts)


def brief(found: list[dict]) -> str:
    """One table for a README: a row a record, the ratio of every contestant."""
    tables = [{r["contestant"]: r for r in rows_of(record)} for record in found]
    names = dict.fromkeys(name for table in tables for name in table)
    names = sorted(names, key=lambda n: (not n.startswith("maml"), n))
    lines = ["| Workload | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
    for record, table in zip(found, tables):
        w, order = record["workload"], {1: "first", 2: "second"}[record["order"]]
        steps = "1 step" if w["inner_steps"] == 1 else f"{w['inner_steps']} steps"
        ratios = [
            f"{r['ratio']:.2f} ({r['one_ratio']:.2f})" if (r := table.get(n)) else "-"
            for n in names
        ]
        where = ", GPU" if _on_gpu(record) else ""
        words = f"{w['name']}, {order} order, {w['tasks']} tasks, {steps}{where}"
        lines.append(f"| {words} | " + " | ".join(ratios) + " |")
    note = (
        "Time of a meta-iteration, learn2learn = 1: each contestant in its own best split of the "
        "cores into processes and threads, in brackets in one process with all cores. "
        "Milliseconds, spread, memory and how it was measured: results/tables/speed.md."
    )
    return "\n".join([*lines, "", note])


def plot(found: list[dict], path: Path) -> None:
    """Bars of the ratios, one panel a record."""
    figure = Figure(figsize=(9, 1 + 1.9 * -(-len(found) // 2)), layout="constrained")
    panels = figure.subplots(-(-len(found) // 2), min(len(found), 2), squeeze=False)
    for axes in panels.flat[len(found) :]:
        axes.set_visible(False)
    for axes, record in zip(panels.flat, found):
        rows = rows_of(record)[::-1]
        ratios = [r["ratio"] for r in rows]
        spread = [
            [r["ratio"] - r["ratio_low"] for r in rows],
            [r["ratio_high"] - r["ratio"] for r in rows],
        ]
        colours = [OURS if r["contestant"].startswith("maml") else PEERS for r in rows]
        axes.barh([r["contestant"] for r in rows], ratios, xerr=spread, color=colours)
        for i, (ratio, row) in enumerate(zip(ratios, rows)):
            axes.text(row["ratio_high"], i, f"  {ratio:.2f}", va="center", fontsize=8)
        axes.axvline(1, color="black", linewidth=0.8, linestyle=":")
        axes.set_xlim(0, 1.25 * max(r["ratio_high"] for r in rows))
        w = record["workload"]
        words = (
            f"{w['name']}, order {record['order']}, {w['tasks']} tasks, {w['inner_steps']} steps"
            f"{', GPU' if _on_gpu(record) else ''}"
        )
        axes.set_title(words, fontsize=10)
        axes.tick_params(labelsize=8)
    figure.supxlabel("time of a meta-iteration, learn2learn (or the plain loop) = 1", fontsize=9)
    save(figure, path)


def path_of(out: Path, record: dict) -> Path:
    """Where a record lies."""
    w = record["workload"]
    name = f"{w['name']}-order{record['order']}-{w['tasks']}tasks-{w['inner_steps']}steps"
    return Path(out) / "speed" / f"{name}{'-gpu' if _on_gpu(record) else ''}.json"


def write(out: Path, record: dict) -> Path:
    """Writes a record."""
    return record_files.write(path_of(out, record), record)


def read_all(out: Path) -> list[dict]:
    """All records of a results folder, by name.

    Raises:
        BenchError: names a file that is no such record.
    """

    def each_field(record: dict) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy, of the median of nothing
            markdown([record]), brief([record])

    files = sorted((Path(out) / "speed").glob("*-order*.json"))
    return record_files.read_all(files, each_field, "maml-bench speed")
