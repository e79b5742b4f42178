"""Runs a grid: what is finished is skipped, the rest is trained, recorded and tabulated."""

import os
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from bench import plots, records, tables
from bench.errors import BenchError
from bench.experiment import Experiment


def plan(experiments: Sequence[Experiment], out: Path, console: Console) -> list[Experiment]:
    """Prints what is done and what is to do, and returns the latter."""
    to_do = [e for e in experiments if not records.path_of(out, e.fields).exists()]
    done = len(experiments) - len(to_do)
    console.print(
        f"[bold]{experiments[0].suite}[/bold]: {len(experiments)} runs, {done} done, "
        f"{len(to_do)} to do; records under {out}"
    )
    for experiment in experiments:
        mark = "[dim]to do[/dim]" if experiment in to_do else "[green]done [/green]"
        console.print(f"  {mark} {experiment}, {experiment.iterations} iterations")
    return to_do


def run(
    experiments: Sequence[Experiment],
    out: Path,
    console: Console,
    data_root: Path | None = None,
    devices: int | str = "auto",
    accelerator: str = "auto",
) -> None:
    """Runs what is missing of a grid and prints the table of all of it.

    Args:
        experiments: the grid.
        out: the results folder.
        console: where progress and the table are printed.
        data_root: folder of prepared data.
        devices: as Lightning's Trainer takes it.
        accelerator: as Lightning's Trainer takes it.

    Raises:
        BenchError: see :func:`bench.training.train`.
    """
    rank = int(os.environ.get("LOCAL_RANK", 0)) + int(os.environ.get("NODE_RANK", 0))
    console.quiet = console.quiet or rank > 0  # of several devices one prints and writes
    to_do = plan(experiments, out, console)
    if to_do:
        from bench import probe
        from bench.training import train

        seconds: dict[str, list[float]] = {}
        for number, experiment in enumerate(to_do):
            left = time_left(to_do[number:], seconds)
            console.print(f"[{number + 1}/{len(to_do)}] {experiment}{left}")
            started = time.monotonic()
            record = train(
                experiment,
                out,
                data_root=data_root,
                devices=devices,
                accelerator=accelerator,
                progress=console.is_terminal,
            )
            if not rank:
                path = records.path_of(out, experiment.fields)
                records.write(path, record)  # before the probe: what is finished is kept
                if record["training"]["iterations"]:
                    try:
                        cost = probe.measure(probe_of(experiment, data_root, accelerator))
                        records.write(path, record | {"cost": cost})
                    except BenchError as error:
                        console.print(f"cost not measured: {error}", style="yellow")
            seconds.setdefault(experiment.dataset, []).append(time.monotonic() - started)
    if not rank:
        report(experiments[0].suite, out, console)


def report(suite: str, out: Path, console: Console) -> None:
    """Prints the table of a suite from its records, and writes tables and plots.

    Raises:
        BenchError: if there are no records.
    """
    found = records.read_all(out, suite)
    if not found:
        raise BenchError(f"no records of suite {suite} under {out}: run maml-bench run {suite}")
    tables.print_rich(found, console)
    for path in [*tables.write_all(out, found), *plots.write_all(out, found)]:
        console.print(f"wrote {path}", highlight=False)


def time_left(to_do: Sequence[Experiment], seconds: dict[str, list[float]]) -> str:
    """An estimate for the rest of the grid from the runs so far, data set by data set."""
    so_far = [s for runs in seconds.values() for s in runs]
    if not so_far:
        return ""
    total = 0.0
    for experiment in to_do:
        runs = seconds.get(experiment.dataset, so_far)
        total += sum(runs) / len(runs)
    return f", about {timedelta(seconds=round(total))} left for the grid"


def probe_of(experiment: Experiment, data_root: Path | None, accelerator: str) -> dict:
    """What :func:`bench.probe.measure` needs to know of an experiment."""
    data = dict(experiment.data_arguments)
    if "data_root" in data and data_root is not None:
        data["data_root"] = data_root
    return {
        "algorithm": experiment.algorithm,
        "learner": experiment.learner_arguments,
        "dataset": experiment.dataset,
        "data": data,
        "accelerator": accelerator,
    }
