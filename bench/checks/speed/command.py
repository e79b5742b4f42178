"""``maml-bench speed``: checks the meta-gradients, times in turn, records, tabulates, plots."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console

from bench.base import allocator
from bench.base.errors import BenchError, nearest
from bench.base.paths import write_text
from bench.checks.speed import measure, report, scaling
from bench.checks.speed.workloads import WORKLOADS, Workload
from bench.results import readme_blocks
from bench.results.provenance import provenance


def workload(name: str, tasks: int | None, inner_steps: int | None) -> Workload:
    """A workload with other numbers.

    Raises:
        BenchError: for an unknown name or impossible numbers.
    """
    if name not in WORKLOADS:
        raise BenchError(f"unknown workload {name!r}: {nearest(name, WORKLOADS)}")
    given = {"tasks": tasks, "inner_steps": inner_steps}
    for key, value in given.items():
        if value is not None and value < 1:
            raise BenchError(f"--{key.replace('_', '-')} {value}: give at least 1")
    return replace(WORKLOADS[name], **{k: v for k, v in given.items() if v is not None})


def peers(texts: list[str]) -> dict[str, str]:
    """Reads ``NAME=PYTHON``.

    Raises:
        BenchError: if it is not that.
    """
    found = {}
    for text in texts:
        name, equals, python = text.partition("=")
        if not equals or not python:
            raise BenchError(f"--peer-python {text}: write NAME=PYTHON")
        found[name] = python
    return found


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def require_gpu(beside: list[str]) -> None:
    """Refuses ``--accelerator gpu`` where there is none.

    Args:
        beside: flags that were given with it and are measured on a processor alone.

    Raises:
        BenchError: says what to do.
    """
    import torch

    if beside:
        raise BenchError(f"--accelerator gpu: --{beside[0]} is measured on a processor: give one")
    if not torch.cuda.is_available():
        raise BenchError(
            "--accelerator gpu: torch finds no GPU here; on a machine with one, see that the "
            "driver and torch's build for it are installed"
        )


def compare(
    workloads: list[Workload],
    orders: list[int],
    contestants: list[measure.Contestant],
    rounds: int,
    out: Path,
    console: Console,
) -> None:
    """Measures every workload in every order, and writes what was found as it is found."""

    def say(words: str) -> None:
        console.print(words, style="dim", highlight=False)

    for one in workloads:
        for order in orders:
            able = [c for c in contestants if c.takes(one, order)]
            say(f"{one.name}, order {order}: comparing meta-gradients in float64")
            errors = measure.gradient_errors(able, one, order)
            refused = {}
            for name, error in errors.items():
                if isinstance(error, str):
                    refused[name] = error
                elif not error <= measure.TOLERANCE:
                    refused[name] = f"its meta-gradient is {error:.1e} off"
            fit = [c for c in able if c.name not in refused]
            if not fit:
                raise BenchError(f"nobody is left to time: {refused}")
            timings, floor = measure.interleaved(
                [(c, one, order) for c in fit], rounds, cores(), say
            )
            rows = []
            for contestant, of_one in zip(fit, timings):
                say(f"memory of {contestant.label}")
                rows.append(
                    {
                        "contestant": contestant.name,
                        "gradient_error": errors[contestant.name],
                        "timings": [asdict(t) for t in of_one],
                        "peak_mib": measure.peak_memory(contestant, one, order, cores()),
                    }
                )
            record = {
                "workload": asdict(one),
                "order": order,
                "rounds": rounds,
                "cores": cores(),
                "rows": rows,
                "refused": refused,
                "floor": floor,
                "allocator": allocator.keep_memory(),
                "provenance": provenance(),
            }
            path = report.write(out, record)
            report.show(record, console)
            console.print(f"wrote {path}", highlight=False)


def finish(out: Path, readme: Path | None, console: Console) -> None:
    """Writes the plot and the table of all records there are.

    Raises:
        BenchError: if there are none.
    """
    found = report.read_all(out)
    if not found:
        raise BenchError(f"no records under {out}/speed: make some with maml-bench speed")
    text = report.markdown(found)
    paths = [Path(out) / "figures" / "speed.png", Path(out) / "tables" / "speed.md"]
    report.plot(found, paths[0])
    write_text(paths[1], text + "\n")
    for path in paths:
        console.print(f"wrote {path}", highlight=False)
    if readme:
        readme_blocks.refresh(readme, "speed", report.brief(found))


def grow(one: Workload, what: str, rounds: int, out: Path, console: Console) -> None:
    """Growth with tasks, inner steps or devices: table, plot and record."""
    rows = scaling.measure(one, what, rounds, cores(), console.print)
    scaling.show(one, what, rows, console)
    name = f"{one.name}-scaling-{what}"
    record = {
        "workload": asdict(one),
        "scaling": what,
        "rows": rows,
        "rounds": rounds,
        "cores": cores(),
        "provenance": provenance(),
    }
    paths = [Path(out) / "speed" / f"{name}.json", Path(out) / "figures" / f"speed-{name}.png"]
    write_text(paths[0], json.dumps(record, indent=1) + "\n")
    scaling.plot(one, what, rows, paths[1])
    for path in paths:
        console.print(f"wrote {path}", highlight=False)


def overhead(rounds: int, out: Path, console: Console) -> None:
    """What data and Lightning add to a meta-iteration: one line, and the record."""
    from bench.checks.speed import overhead as measured  # Lightning takes seconds to load

    allocator.keep_memory()
    found = measured.measure(rounds)
    fit, bare = (1000 * median(found[n]) / found["iterations"] for n in ("fit", "bare"))
    console.print(
        f"Trainer.fit on students, {found['tasks']} tasks a meta-batch: {fit:.1f} ms an iteration; "
        f"the meta-iteration alone {bare:.1f} ms; data and Lightning are "
        f"{100 * measured.share(found):.0f} % of the time",
        highlight=False,
    )
    path = Path(out) / "speed" / "overhead.json"
    record = found | {"provenance": provenance()}
    write_text(path, json.dumps(record, indent=1) + "\n")
    console.print(f"wrote {path}", highlight=False)


def evaluation(chosen: list[Workload], rounds: int, out: Path, console: Console) -> None:
    """How long evaluating takes beside training: a line each, and the record."""
    from bench.checks.speed import evaluation as measured  # Lightning takes seconds to load

    kept, rows = allocator.keep_memory(), []
    for one in chosen:
        found = measured.measure(one, rounds)
        rows.append({"workload": asdict(one), "seconds": found})
        shares = measured.shares(found)
        for name, seconds in found.items():
            console.print(
                f"{one.name}, {one.tasks} tasks, {one.inner_steps} steps: {name} "
                f"{1000 * median(seconds):.1f} ms, {shares[name]:.2f} of the training step",
                highlight=False,
            )
    path = Path(out) / "speed" / "evaluation.json"
    record = {"rows": rows, "cores": cores(), "allocator": kept, "provenance": provenance()}
    write_text(path, json.dumps(record, indent=1) + "\n")
    console.print(f"wrote {path}", highlight=False)


def episodes(rounds: int, out: Path, console: Console) -> None:
    """How long loading a cache and assembling episodes take: a line each, and the record."""
    from bench.checks.speed import episodes as measured  # Lightning takes seconds to load

    kept = allocator.keep_memory()
    rows = measured.measure(rounds)
    for row in rows:
        low, middle, high = 1000 * np.percentile(row["core_seconds"], [25, 50, 75])
        console.print(
            f"{row['what']}: {middle:.2f} ms of one core ({low:.2f}-{high:.2f}), "
            f"{1000 * median(row['seconds']):.2f} ms by the clock; aim: below {row['aim_ms']:,} ms",
            highlight=False,
        )
    path = Path(out) / "speed" / "episodes.json"
    record = {"rows": rows, "threads": 1, "allocator": kept, "provenance": provenance()}
    write_text(path, json.dumps(record, indent=1) + "\n")
    console.print(f"wrote {path}", highlight=False)
