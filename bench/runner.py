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
from bench.machine import Machine


def plan(experiments: Sequence[Experiment], out: Path, console: Console) -> list[Experiment]:
    """Prints what is done and what is to do, and returns the latter."""
    to_do = [e for e in experiments if not records.path_of(out, e.fields).exists()]
    done = len(experiments) - len(to_do)
    console.print(
        f"[bold]{experiments[0].suite}[/bold]: {len(experiments)} runs, {done} done, "
        f"{len(to_do)} to do; records under {out}"
    )
    waiting = {e.key for e in to_do}
    for experiment in experiments:
        mark = "[dim]to do[/dim]" if experiment.key in waiting else "[green]done [/green]"
        console.print(f"  {mark} {experiment}, {experiment.iterations} iterations")
    return to_do


def finish(
    experiments: Sequence[Experiment],
    out: Path,
    console: Console,
    machine: Machine,
    split: str = "test",
) -> bool:
    """Runs what is missing of a grid, one record after the other.

    Args:
        experiments: the grid.
        out: the results folder.
        console: where the plan and the progress are printed.
        machine: where to run.
        split: which episodes the records are of: ``"test"``, or ``"val"`` for trials of a sweep,
            whose cost is not measured.

    Returns:
        Whether this process is the one of several devices that reports.

    Raises:
        BenchError: see :func:`bench.training.train`.
    """
    reports = not any(int(os.environ.get(name, 0)) for name in ("LOCAL_RANK", "NODE_RANK"))
    console.quiet = console.quiet or not reports
    to_do = plan(experiments, out, console)
    if not to_do:
        return reports
    from bench import resuming  # which takes seconds to load
    from bench.training import train

    seconds: dict[str, list[float]] = {}
    probed = set()  # what repetitions cost is measured once
    for number, experiment in enumerate(to_do):
        left = time_left(to_do[number:], seconds)
        console.print(f"[{number + 1}/{len(to_do)}] {experiment}{left}")
        started = time.monotonic()
        record = train(experiment, out, split, machine, console.is_terminal, console.print)
        if reports:
            path = records.path_of(out, experiment.fields)
            records.write(path, record)  # before the probe: what is finished is kept
            resuming.forget(out / "checkpoints" / experiment.key)
            repeated = experiment.dataset, experiment.setting, experiment.algorithm
            if split == "test" and experiment.iterations and repeated not in probed:
                records.write(path, record | {"cost": cost(experiment, machine, console)})
                probed.add(repeated)
        seconds.setdefault(experiment.dataset, []).append(time.monotonic() - started)
    return reports


def run(
    experiments: Sequence[Experiment],
    out: Path,
    console: Console,
    machine: Machine | None = None,
) -> None:
    """Runs what is missing of a grid and prints the table of its suite.

    Args:
        experiments: the grid.
        out: the results folder.
        console: where progress and the table are printed.
        machine: where to run; None: this machine's usual device and folder.

    Raises:
        BenchError: see :func:`bench.training.train`.
    """
    if finish(experiments, out, console, machine or Machine()):
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


def cost(experiment: Experiment, machine: Machine, console: Console) -> dict | None:
    """What one meta-iteration costs; None, and said, where it cannot be measured."""
    from bench import probe

    build = {
        "algorithm": experiment.algorithm,
        "learner": experiment.learner_arguments,
        "dataset": experiment.dataset,
        "data": machine.data_arguments(experiment),
        "accelerator": machine.accelerator,
    }
    try:
        return probe.measure(build)
    except BenchError as error:
        console.print(f"cost not measured: {error}", style="yellow")
        return None
