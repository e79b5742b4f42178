"""One run of a grid (``grid.py``): locked, trained (``training.py``), recorded, its cost measured.

A job is all that is needed to do it, in this process or on another machine.
"""

import io
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from rich.console import Console

from bench.base import locks, registry
from bench.base.errors import BenchError, Interrupted
from bench.base.option_text import of_grid, typed_as
from bench.base.outside import Outside
from bench.results import failed, records
from bench.results.run_files import RunFiles
from bench.running import failures
from bench.running.experiment import Experiment
from bench.running.machine import Machine
from bench.running.ranks import ProcessesDiverged, World


class Job(NamedTuple):
    """A run, where its results go, and what the grid knows of it.

    Attributes:
        experiment: what to run.
        out: the results folder.
        machine: devices and folders.
        split: which episodes the record is of: ``"test"`` or ``"val"``.
        measure: whether what a meta-iteration costs is measured: with the run, or ``"later"``, by
            :func:`measure`, when nothing else is at work on this machine.
        failed_before: when it had failed last as the grid began (``RunFiles.last_failed``).
        patience: how many seconds to wait for a run that another process holds.
        plug_ins: those outside the package that the grid's command has named.
    """

    experiment: Experiment
    out: Path
    machine: Machine
    split: str
    measure: bool | Literal["later"]
    failed_before: int | None = None
    patience: float = 0.0
    plug_ins: tuple[Outside, ...] = ()

    @property
    def files(self) -> RunFiles:
        """Where its record, failure, checkpoints and lock lie."""
        return self.experiment.files(self.out)


class Outcome(NamedTuple):
    """What became of a job.

    Attributes:
        state: ``"left"``: it is another process' job, which has done it or holds it.
        message: why it failed, or who has it.
        printed: lines that were printed meanwhile, where nobody was watching.
    """

    state: Literal["done", "failed", "left"]
    message: str = ""
    printed: tuple[str, ...] = ()


def do(job: Job, console: Console, world: World | None = None) -> Outcome:
    """Trains, tests and records a run; one that fails is noted.

    Args:
        job: what to do.
        console: where the progress is printed.
        world: the processes that do it together; None: this one alone. The first one locks, records
            and measures, and all of them return the same.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM; the same call goes on where it stopped.
        ProcessesDiverged: if the processes cannot go on together.
    """
    experiment, out, world = job.experiment, job.out, world or World()
    with _lock(job, world.is_first) as owner:
        if owner := world.broadcast(owner):
            return Outcome("left", f"is run by {owner}")
        files = job.files
        failed_meanwhile = files.last_failed not in (None, job.failed_before)
        if world.broadcast(files.is_finished or failed_meanwhile):
            return Outcome("left", "was done by another process meanwhile")
        if world.is_first:
            failed.forget(files)
        error = None
        try:
            with typed_as(of_grid):
                _run(job, console, world)
        except Interrupted:
            raise
        except Exception as caught:
            error = caught
        try:
            error = world.gather_errors(error)
        except ProcessesDiverged as diverged:
            if diverged.here:
                failures.note(out, experiment, error)
            raise
        if error:
            alone = job.machine if world.size == 1 else None
            message = failures.note(out, experiment, error, alone).message if world.is_first else ""
            return Outcome("failed", message)
    return Outcome("done")


def do_unwatched(job: Job) -> Outcome:
    """Does a job in a worker process; what it prints is part of the outcome.

    Raises:
        Interrupted: as :func:`do`.
    """
    from bench.base import allocator

    allocator.keep_memory()
    registry.add_all(job.plug_ins)
    text = io.StringIO()
    outcome = do(job, Console(file=text, width=120))
    return outcome._replace(printed=tuple(text.getvalue().splitlines()))


def _run(job: Job, console: Console, world: World) -> None:
    """Trains and records one run, then measures what it costs."""
    from bench.running import resuming  # which takes seconds to load
    from bench.running.training import train

    experiment, files, machine = job.experiment, job.files, job.machine
    say = partial(console.print, markup=False, highlight=False)
    if world.broadcast(files.awaits_its_cost):
        record = records.read(files.record)
    else:
        record = train(experiment, job.out, job.split, machine, console.is_terminal, say)
    if not world.is_first:
        return
    files.await_cost()
    records.write(files.record, record)  # before the probe: what is finished is kept
    resuming.forget(files.checkpoints)
    if job.measure is True:
        _measure(job, record, console)
    if job.measure != "later":
        files.finish()


def measure(job: Job, console: Console) -> None:
    """Measures what a recorded run costs, unless another process does so or has done so."""
    with _lock(job, True) as owner:
        if not owner and job.files.awaits_its_cost:
            _measure(job, records.read(job.files.record), console)
            job.files.finish()


def _measure(job: Job, record: dict, console: Console) -> None:
    found = cost(job.experiment, job.machine, record["provenance"]["threads"], console)
    records.write(job.files.record, record | {"cost": found})


def cost(
    experiment: Experiment, machine: Machine, threads: int | None, console: Console
) -> dict | None:
    """What one meta-iteration costs; None, with a note, where it cannot be measured."""
    from bench.running import probe

    try:
        return probe.measure(machine.build(experiment), threads=threads)
    except (BenchError, OSError, RuntimeError) as error:
        console.print(f"cost not measured: {error}", style="yellow", markup=False)
        return None


@contextmanager
def _lock(job: Job, reports: bool):
    """Makes sure that no other process does the same run; the first of several devices does."""
    if not reports:
        yield None
        return
    patient_until = time.monotonic() + job.patience
    while True:
        with locks.held(job.files.lock) as owner:
            if not owner or time.monotonic() >= patient_until:
                yield owner
                return
        time.sleep(0.5)
