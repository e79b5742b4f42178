"""A whole grid: plans it, has every missing run done (``jobs.py``), and prints the table.

A grid is a list of experiments (``experiment.py``), as a suite (``suite.py``) expands to. Its runs
are done one after the other here, or spread over workers (``workers.py``).
"""

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from bench.base import locks, registry
from bench.base.errors import BenchError, RunsLeft
from bench.base.outside import Outside
from bench.results import failed
from bench.running import choices, jobs, ranks, server, time_left, workers
from bench.running.experiment import Experiment
from bench.running.machine import Machine
from bench.running.ranks import World

SCREENFUL = 40  # runs, of which those that are done are listed too


def plan(
    experiments: Sequence[Experiment],
    out: Path,
    console: Console,
    retry_failed: bool = False,
    keep_predictions: bool = False,
    listed: bool = True,
) -> list[Experiment]:
    """Prints what is done, what has failed and what is to do, and returns the latter.

    Args:
        experiments: the grid.
        out: the results folder.
        console: where to print.
        retry_failed: whether what would fail again is to do.
        keep_predictions: whether a run is to do whose predictions are not kept.
        listed: whether each run has a line, those that are done in small grids alone; or those
            alone that have failed.
    """
    if keep_predictions and not any(map(jobs.can_keep_predictions, experiments)):
        raise BenchError(
            "--keep-predictions is for classes and answers: none of these runs has any"
        )
    failures = failed.read(out, (e.fields for e in experiments))
    missing = [
        e
        for e in experiments
        if not jobs.is_finished(e.files(out), keep_predictions and jobs.can_keep_predictions(e))
    ]
    to_do = [e for e in missing if retry_failed or e.key not in failures or failures[e.key].again]
    given_up = {e.key for e in missing} - {e.key for e in to_do}
    done = len(experiments) - len(missing)
    console.print(
        f"[bold]{experiments[0].suite}[/bold]: {len(experiments)} "
        f"run{'s' if len(experiments) > 1 else ''}, {done} done, "
        f"{len(to_do)} to do"
        + (f", {len(given_up)} failed (--retry-failed tries again)" if given_up else "")
        + f"; records under {escape(str(out))}"
    )
    waiting = {e.key for e in to_do}
    for experiment in experiments:
        mark, why = "[green]done [/green]", ""
        if experiment.key in waiting:
            mark = "[dim]to do[/dim]"
        elif experiment.key in given_up:
            mark, why = "[red]failed[/red]", f": {escape(failures[experiment.key].message)}"
        if why or (listed and (experiment.key in waiting or len(experiments) <= SCREENFUL)):
            console.print(f"  {mark} {experiment}, {experiment.iterations} iterations{why}")
    return to_do


def finish(
    experiments: Sequence[Experiment],
    out: Path,
    console: Console,
    machine: Machine,
    split: str = "test",
    retry_failed: bool = False,
    launcher: workers.Launcher | None = None,
    keep_predictions: bool = False,
    brief: bool = False,
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
        launcher: where the workers come from; None: this process does all runs.
        keep_predictions: whether predictions of the test episodes are kept beside the records.
        brief: whether the plan is not listed run by run, nor the cost of a run measured.

    Returns:
        Whether this process reports: it is the first of several devices.

    Raises:
        BenchError: if a run has an argument that it cannot have; then nothing is run.
        Interrupted: after Ctrl-C or SIGTERM.
    """
    failed_before = {e.key: e.files(out).last_failed for e in experiments}

    def job(e: Experiment) -> jobs.Job:
        declared = registry.declaration("algorithms", e.algorithm).attributes
        costs = e.iterations > 0 and not declared["fits_directly"]
        measure = split == "test" and costs and not brief
        keep = keep_predictions and jobs.can_keep_predictions(e)
        return jobs.Job(
            e, out, machine, split, measure, failed_before[e.key], keep_predictions=keep
        )

    if launcher is not None:  # then this process has no need of torch
        server.start()
        to_do = plan(experiments, out, console, retry_failed, keep_predictions, not brief)
        check_elsewhere(to_do)
        if to_do:
            _run_elsewhere([job(e) for e in to_do], launcher, console)
        return True
    world = ranks.join(machine)
    console.quiet = console.quiet or not world.is_first
    with world.end_together():
        # the others do what the first one finds
        to_do = world.broadcast(
            plan(experiments, out, console, retry_failed, keep_predictions, not brief)
            if world.is_first
            else []
        )
        check(to_do)
        _run_here([job(e) for e in to_do], console, world)
    return world.is_first


def check(experiments: Sequence[Experiment], plug_ins: Sequence[Outside] = ()) -> None:
    """Makes data module and algorithm of each, which refuse what they cannot have.

    Args:
        experiments: of a grid.
        plug_ins: those outside the package that this process does not know yet.

    Raises:
        BenchError: names the first argument that does not fit.
    """
    registry.add_all(plug_ins)
    for experiment in experiments:
        experiment.check()


def check_elsewhere(experiments: Sequence[Experiment]) -> None:
    """:func:`check` in another process, as it needs torch."""
    if experiments:
        server.call(check, experiments, tuple(registry.added()))


def _run_elsewhere(grid: Sequence[jobs.Job], launcher: workers.Launcher, console: Console) -> None:
    """Has workers do all runs; what they cost is measured when no other is at work here."""
    grid = _for_workers(grid)
    if launcher.on_this_machine:
        grid = [job._replace(measure=job.measure and "later") for job in grid]
    else:
        grid = _measure_once(grid)
    workers.run_all(grid, launcher, console)
    waiting = [job for job in grid if job.measure == "later" and job.files.awaits_its_cost]
    first = _first_repetitions(waiting)
    with console.status("") as status:
        for job in waiting:
            if first[_repetition(job.experiment)] != job.experiment.key:
                job.files.finish()
                continue
            status.update(f"measuring costs: {job.experiment}")
            jobs.measure(job, console)


def _run_here(grid: Sequence[jobs.Job], console: Console, world: World) -> None:
    """Does all runs in this process, and those that train along with it."""
    seconds: dict[str, list[float]] = {}
    probed = set()  # what repetitions cost is measured once
    for number, job in enumerate(grid):
        experiment, started = job.experiment, time.monotonic()
        left = time_left.by_runs_so_far([j.experiment for j in grid[number:]], seconds)
        console.print(f"[{number + 1}/{len(grid)}] {experiment}{left}")
        measure = job.measure and _repetition(experiment) not in probed
        outcome = jobs.do(job._replace(measure=measure), console, world)
        if outcome.state == "failed":
            console.print(f"  failed: {outcome.message}", style="red", markup=False)
        elif outcome.state == "left":
            console.print(f"  it {outcome.message}", markup=False)
        else:
            probed.add(_repetition(experiment))
            seconds.setdefault(experiment.dataset, []).append(time.monotonic() - started)


def _for_workers(grid: Sequence[jobs.Job]) -> list[jobs.Job]:
    """The same jobs for other processes."""
    return [
        job._replace(
            out=job.out.resolve(),
            machine=job.machine.resolved(),
            plug_ins=tuple(registry.added()),
        )
        for job in grid
    ]


def _measure_once(grid: Sequence[jobs.Job]) -> list[jobs.Job]:
    """The same jobs, of which the first of several repetitions measures the cost."""
    first = _first_repetitions(grid)
    return [
        job._replace(
            measure=job.measure and first[_repetition(job.experiment)] == job.experiment.key
        )
        for job in grid
    ]


def _first_repetitions(grid: Sequence[jobs.Job]) -> dict[tuple, str]:
    """The key of the first run of each repetition."""
    # the first one of equal ones stays, as it is put in last
    return {_repetition(job.experiment): job.experiment.key for job in reversed(grid)}


def _repetition(experiment: Experiment) -> tuple[str, ...]:
    """What runs that differ in seed or fold alone have in common."""
    data = {n: v for n, v in experiment.data.items() if n not in choices.FREE}
    arguments = json.dumps([data, experiment.learner], sort_keys=True, default=str)
    length = str(experiment.iterations)  # upon which the engine depends
    return experiment.dataset, experiment.setting, experiment.algorithm, length, arguments


def run(
    experiments: Sequence[Experiment],
    out: Path,
    console: Console,
    machine: Machine | None = None,
    retry_failed: bool = False,
    launcher: workers.Launcher | None = None,
    keep_predictions: bool = False,
) -> None:
    """Runs what is missing of a grid and prints the table of its suite.

    Args:
        experiments: the grid.
        out: the results folder.
        console: where progress and the table are printed.
        machine: where to run; None: this machine's usual device and folder.
        retry_failed: whether to try what has failed again.
        launcher: where the workers come from; None: this process does all runs.
        keep_predictions: whether predictions of the test episodes are kept beside the records.

    Raises:
        BenchError: if a run has failed; the rest of the grid is done then.
        RunsLeft: if another process holds a run and has not finished it.
        Interrupted: after Ctrl-C or SIGTERM.
    """
    machine = machine or Machine()
    wishes = {"retry_failed": retry_failed, "keep_predictions": keep_predictions}
    if not finish(experiments, out, console, machine, launcher=launcher, **wishes):
        return
    suite = experiments[0].suite
    if any(e.files(out).is_recorded for e in experiments):
        report(suite, out, console)
    raise_unfinished(experiments, out)
    if keep_predictions:
        _raise_unkept(experiments, out)


def _raise_unkept(experiments: Sequence[Experiment], out: Path) -> None:
    kept = [e for e in experiments if jobs.can_keep_predictions(e)]
    left = [e for e in kept if not e.files(out).predictions.exists()]
    if left:
        raise BenchError(
            f"{len(left)} of {len(kept)} runs have no predictions, such as {left[0].key}: "
            "the messages above say why"
        )


def raise_unfinished(experiments: Sequence[Experiment], out: Path) -> None:
    """Says which runs of a grid have failed or, if none has, are left to other processes.

    Raises:
        BenchError: if any has failed.
        RunsLeft: if another process has any.
    """
    failures = failed.read(out, (e.fields for e in experiments))
    if not failures:
        raise_left(experiments, out)
        return
    first = next(iter(failures.values()))
    if len(experiments) == 1 or len({f.message for f in failures.values()}) == 1:
        messages = first.message
    else:
        messages = "; ".join(f"{f.key}: {f.message}" for f in list(failures.values())[:5])
    again = "" if all(f.again for f in failures.values()) else "; --retry-failed tries again"
    raise BenchError(f"{len(failures)} of {len(experiments)} runs failed: {messages}{again}")


def raise_left(experiments: Sequence[Experiment], out: Path, but: Iterable[str] = ()) -> None:
    """Says which runs of a grid are left to other processes.

    Args:
        experiments: the grid.
        out: the results folder.
        but: keys of runs that do not count.

    Raises:
        RunsLeft: if there are any.
    """
    but = set(but)
    left = [e for e in experiments if not e.files(out).is_finished and e.key not in but]
    if left:
        raise RunsLeft(
            f"{len(left)} of {len(experiments)} runs are left to other processes, which have not "
            f"finished them, such as {left[0].key} ({locks.owner(left[0].files(out).lock)}): run "
            "the same command again when they have ended"
        )


def report(suite: str, out: Path, console: Console, found: Sequence[dict] | None = None) -> None:
    """Prints the table of a suite from its records, and writes tables and plots.

    Args:
        suite: its name.
        out: the results folder.
        console: where to print.
        found: the suite's records, if they were read before.

    Raises:
        BenchError: if there are no records.
    """
    from bench.results import (  # which take seconds to load
        plots,
        prediction_tables,
        records,
        tables,
    )
    from bench.results.summary import Results

    found = Results(found or records.read_all(out, suite))
    failures = failed.read_all(out, suite)
    if not found:
        raise BenchError(f"no records of suite {suite} under {out}: run maml-bench run {suite}")
    tables.print_rich(found, console, failed=failures)
    written = [*tables.write_all(out, found), *plots.write_all(out, found)]
    written += prediction_tables.report(out, found, console)
    for path in written:
        console.print(f"wrote {path}", markup=False, highlight=False)
