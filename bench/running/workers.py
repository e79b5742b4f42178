"""The runs of a grid (``grid.py``) given to workers, and watched until all are done.

A worker does one job (``jobs.py``) at a time; where workers come from is a file in ``launchers``.
"""

import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from bench.base import locks
from bench.base.errors import BenchError, Interrupted
from bench.running import failures, less_memory, time_left
from bench.running.interruption import Signals, note_signals
from bench.running.jobs import Job, Outcome
from bench.running.machine import Machine

ATTEMPTS = 4  # how often a run is handed out, if its worker is lost each time
PATIENCE = 120.0  # seconds: a file server may take that long to free the lock of a lost machine
VISIBLE = 90.0  # seconds until a file that another machine has written must be seen


class Lost(NamedTuple):
    """A worker that ended without having finished its job.

    Attributes:
        reason: in words.
        killed: whether it was killed, which the system does where memory runs out.
    """

    reason: str
    killed: bool = False


class Launcher:
    """Where workers come from. A subclass is one file in ``bench/running/launchers``.

    Args:
        jobs: how many runs at a time; None: as many as there is room for.
        machine: devices that a worker needs.
        options: of ``--launcher-options``.

    Attributes:
        at_once: how many jobs it takes at a time; None: all.
        where: in words, once jobs were submitted.
        on_this_machine: whether all workers share it.

    Raises:
        BenchError: for an option that it does not know, or if there is nothing to launch with.
    """

    at_once: int | None = None
    where: str = ""
    on_this_machine: bool = False

    def __init__(self, jobs: int | None, machine: Machine, options: dict[str, Any]):
        raise NotImplementedError

    def expect(self, count: int) -> None:
        """Told before the first is submitted how many jobs there are."""

    def submit(self, jobs: Sequence[Job]) -> None:
        """Hands jobs to workers."""
        raise NotImplementedError

    def ended(self) -> list[tuple[Job, Outcome | Lost]]:
        """The jobs that have ended since the last call; may wait a moment for one."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends what is running, with time to save."""
        raise NotImplementedError

    def close(self) -> None:
        """Clears away, when all jobs have ended."""


def run_all(jobs: Sequence[Job], launcher: Launcher, console: Console) -> None:
    """Has workers do all jobs; what a lost one was doing is handed out again.

    Args:
        jobs: the runs.
        launcher: where the workers come from.
        console: told what starts and what ends.

    Raises:
        BenchError: if no job can be handed out, or what a worker wrote is not seen here.
        Interrupted: after Ctrl-C or SIGTERM, when the workers have stopped.
    """
    launcher.expect(len(jobs))
    with note_signals() as signals:
        try:
            _watch(jobs, launcher, console, signals)
        except BaseException as error:
            if isinstance(error, Interrupted):
                _print(console, "stopping the workers, which save what they have")
            launcher.stop()
            raise
        launcher.close()


def _watch(jobs: Sequence[Job], launcher: Launcher, console: Console, signals: Signals) -> None:
    waiting, running, attempts = deque(jobs), {}, Counter()
    starts, ended, began = _Starts(jobs, console), 0, time.monotonic()
    with console.status("") as status:
        while waiting or running:
            room = len(waiting) if launcher.at_once is None else launcher.at_once - len(running)
            if batch := [waiting.popleft() for _ in range(min(room, len(waiting)))]:
                launcher.submit(batch)
                if not attempts:
                    count = "1 run" if len(jobs) == 1 else f"{len(jobs)} runs"
                    _print(console, f"{count}, {launcher.where}")
                attempts.update(job.experiment.key for job in batch)
                running |= {job.experiment.key: job for job in batch}
            for job, outcome in launcher.ended():
                starts.note(running.values())
                del running[job.experiment.key]
                if isinstance(outcome, Lost):
                    if attempts[job.experiment.key] < ATTEMPTS:
                        _print(
                            console,
                            f"{job.experiment}: its worker {outcome.reason}; it goes on",
                            "yellow",
                        )
                        waiting.append(job._replace(patience=PATIENCE))
                        continue
                    outcome = _give_up(job, outcome)
                ended += 1
                to_do = len(waiting) + len(running) / 2  # half done, on average
                seconds = (time.monotonic() - began) / ended * to_do
                left = time_left.in_words(seconds) if to_do else ""
                _say(job, outcome, f"{ended} of {len(jobs)}{left}", console)
            if signals.number:
                raise Interrupted(signals.number)
            starts.note(running.values())
            elapsed = timedelta(seconds=round(time.monotonic() - began))
            status.update(f"{ended} of {len(jobs)} ended, {elapsed}")


class _Starts:
    """Says which runs have started and where, as their locks tell on any machine."""

    def __init__(self, jobs: Sequence[Job], console: Console):
        self.console = console
        self.known = {job.files.lock: locks.taken(job.files.lock) for job in jobs}

    def note(self, running: Iterable[Job]) -> None:
        """Says which of these have started since the last call."""
        for job in running:
            taken = locks.taken(job.files.lock)
            if taken != self.known[job.files.lock]:
                self.known[job.files.lock] = taken
                _print(self.console, f"{job.experiment} starts: {locks.owner(job.files.lock)}")


def _give_up(job: Job, lost: Lost) -> Outcome:
    """Notes a run whose worker was lost every time as failed."""
    message = f"its worker was lost {ATTEMPTS} times; the last one {lost.reason}"
    if lost.killed:
        message += f"; where memory ran out, {less_memory.list_options(job.experiment)}"
    return Outcome("failed", failures.note(job.out, job.experiment, BenchError(message)).message)


def _say(job: Job, outcome: Outcome, count: str, console: Console) -> None:
    if outcome.state == "done":
        _print(console, f"{job.experiment} is done ({count})", "green")
        _wait_for(job.files.record)
    elif outcome.state == "failed":
        _print(console, f"{job.experiment} has failed ({count}): {outcome.message}", "red")
        _wait_for(job.files.failure)
    else:
        _print(console, f"{job.experiment} {outcome.message} ({count})")
    for line in outcome.printed:
        _print(console, f"  {line}")


def _wait_for(path: Path) -> None:
    """Waits for a file that another machine has written."""
    until = time.monotonic() + VISIBLE
    while not path.exists():
        if time.monotonic() > until:
            raise BenchError(
                f"{path} was written by a worker and is not seen here: --out must be a folder that "
                "all machines share"
            )
        time.sleep(0.5)


def _print(console: Console, text: str, style: str | None = None) -> None:
    console.print(text, style=style, markup=False, highlight=False)
