"""Runs a grid: what is finished is skipped, the rest is trained, recorded and tabulated."""

import time
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from bench import failures, jobs, locks, plots, ranks, records, tables
from bench.errors import BenchError, Interrupted
from bench.experiment import Experiment
from bench.machine import Machine
from bench.ranks import Parted, Ranks


def plan(
    experiments: Sequence[Experiment], out: Path, console: Console, retry_failed: bool = False
) -> list[Experiment]:
    """Prints what is done, what has failed and what is to do, and returns the latter.

    Args:
        experiments: the grid.
        out: the results folder.
        console: where to print.
        retry_failed: whether what would fail again is to do.
    """
    failed = failures.read(out, experiments)
    missing = [e for e in experiments if not records.path_of(out, e.fields).exists()]
    to_do = [e for e in missing if retry_failed or e.key not in failed or failed[e.key].again]
    given_up = {e.key for e in missing} - {e.key for e in to_do}
    done = len(experiments) - len(missing)
    console.print(
        f"[bold]{experiments[0].suite}[/bold]: {len(experiments)} runs, {done} done, "
        f"{len(to_do)} to do"
        + (f", {len(given_up)} failed (--retry-failed tries again)" if given_up else "")
        + f"; records under {out}"
    )
    waiting = {e.key for e in to_do}
    for experiment in experiments:
        mark, why = "[green]done [/green]", ""
        if experiment.key in waiting:
            mark = "[dim]to do[/dim]"
        elif experiment.key in given_up:
            mark, why = "[red]failed[/red]", f": {escape(failed[experiment.key].message)}"
        console.print(f"  {mark} {experiment}, {experiment.iterations} iterations{why}")
    return to_do


def finish(
    experiments: Sequence[Experiment],
    out: Path,
    console: Console,
    machine: Machine,
    split: str = "test",
    retry_failed: bool = False,
) -> bool:
    """Runs what is missing of a grid, one record after the other; one that fails is noted.

    Args:
        experiments: the grid.
        out: the results folder.
        console: where the plan and the progress are printed.
        machine: where to run.
        split: which episodes the records are of: ``"test"``, or ``"val"`` for trials of a sweep,
            whose cost is not measured.
        retry_failed: whether to try what has failed again.

    Returns:
        Whether this process reports: it is the first of several devices, and no other process'
        worker.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM.
    """
    crew = ranks.join(machine)
    console.quiet = console.quiet or not crew.first
    with crew.ending():
        _work_off(experiments, out, console, machine, split, retry_failed, crew)
    return crew.first and not jobs.is_worker()


def _work_off(
    experiments: Sequence[Experiment],
    out: Path,
    console: Console,
    machine: Machine,
    split: str,
    retry_failed: bool,
    crew: Ranks,
) -> None:
    """Runs what is missing, as the first process finds it."""
    began = time.time()
    to_do = crew.share(plan(experiments, out, console, retry_failed) if crew.first else [])
    seconds: dict[str, list[float]] = {}
    probed = set()  # what repetitions cost is measured once
    for number, experiment in enumerate(to_do):
        with _lock(out, experiment, crew.first) as owner:
            if owner := crew.share(owner):
                console.print(f"[{number + 1}/{len(to_do)}] {experiment} is run by {owner}")
                continue
            if crew.share(_done_since(began, out, experiment)):
                continue
            left = time_left(to_do[number:], seconds)
            console.print(f"[{number + 1}/{len(to_do)}] {experiment}{left}")
            started, error = time.monotonic(), None
            if crew.first:
                failures.forget(out, experiment)
            repeated = experiment.dataset, experiment.setting, experiment.algorithm
            measure = split == "test" and repeated not in probed and experiment.iterations > 0
            try:
                _one(experiment, out, console, machine, split, crew.first, measure)
            except Interrupted:
                raise
            except Exception as caught:
                error = caught
            try:
                error = crew.outcome(error)
            except Parted as parted:
                if parted.own:
                    failures.write(out, experiment, error)
                raise
            if error:
                if crew.first:
                    failure = failures.write(out, experiment, error)
                    console.print(f"  failed: {failure.message}", style="red", markup=False)
                continue
            probed.add(repeated)
            seconds.setdefault(experiment.dataset, []).append(time.monotonic() - started)


def _one(
    experiment: Experiment,
    out: Path,
    console: Console,
    machine: Machine,
    split: str,
    reports: bool,
    measure: bool,
) -> None:
    """Trains and records one run, then measures what it costs."""
    from bench import resuming  # which takes seconds to load
    from bench.training import train

    record = train(experiment, out, split, machine, console.is_terminal, console.print)
    if not reports:
        return
    path = records.path_of(out, experiment.fields)
    records.write(path, record)  # before the probe: what is finished is kept
    resuming.forget(out / "checkpoints" / experiment.key)
    if measure:
        records.write(path, record | {"cost": cost(experiment, machine, console)})


def _done_since(began: float, out: Path, experiment: Experiment) -> bool:
    """Whether another process has done the run meanwhile, or tried to."""
    failed = failures.path_of(out, experiment)
    return records.path_of(out, experiment.fields).exists() or (
        failed.exists() and failed.stat().st_mtime > began
    )


@contextmanager
def _lock(out: Path, experiment: Experiment, reports: bool):
    """Makes sure that no other command does the same run; the first of several devices does."""
    if not reports:
        yield None
        return
    with locks.held(out / "checkpoints" / experiment.key / ".lock") as owner:
        yield owner


def run(
    experiments: Sequence[Experiment],
    out: Path,
    console: Console,
    machine: Machine | None = None,
    retry_failed: bool = False,
) -> None:
    """Runs what is missing of a grid and prints the table of its suite.

    Args:
        experiments: the grid.
        out: the results folder.
        console: where progress and the table are printed.
        machine: where to run; None: this machine's usual device and folder.
        retry_failed: whether to try what has failed again.

    Raises:
        BenchError: if a run has failed; the rest of the grid is done then.
        Interrupted: after Ctrl-C or SIGTERM.
    """
    if finish(experiments, out, console, machine or Machine(), retry_failed=retry_failed):
        conclude(experiments, out, console)


def conclude(experiments: Sequence[Experiment], out: Path, console: Console) -> None:
    """Prints the table of a grid that was worked off, and what of it has failed.

    Raises:
        BenchError: if a run has failed.
    """
    suite = experiments[0].suite
    if any(records.path_of(out, e.fields).exists() for e in experiments):
        report(suite, out, console)
    raise_failures(experiments, out)


def raise_failures(experiments: Sequence[Experiment], out: Path) -> None:
    """Says which runs of a grid have failed.

    Raises:
        BenchError: if any has.
    """
    failed = failures.read(out, experiments)
    if not failed:
        return
    first = next(iter(failed.values()))
    if len(experiments) == 1 or len({f.message for f in failed.values()}) == 1:
        said = first.message
    else:
        said = "; ".join(f"{f.key}: {f.message}" for f in list(failed.values())[:5])
    again = "" if all(f.again for f in failed.values()) else "; --retry-failed tries again"
    raise BenchError(f"{len(failed)} of {len(experiments)} runs failed: {said}{again}")


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
