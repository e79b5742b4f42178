"""Processes of this machine, which share its cores."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from shutil import which
from typing import Any, NamedTuple

from bench.base.errors import BenchError, Interrupted
from bench.running import server
from bench.running.jobs import Job, Outcome, do_unwatched
from bench.running.machine import Machine
from bench.running.workers import Launcher, Lost

MEMORY = 2 * 2**30  # bytes that a run may need


def cores() -> int:
    """How many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def has_gpu() -> bool:
    """Whether torch may find one: asking it would take seconds."""
    return (
        sys.platform == "darwin"
        or any(map(os.path.exists, ("/dev/nvidiactl", "/dev/kfd")))
        or bool(which("nvidia-smi"))
    )


class Worker(NamedTuple):
    """A process that does one job after the other."""

    process: Any
    connection: Connection


class Local(Launcher):
    """``jobs`` processes, each with its share of the cores.

    Args:
        jobs: how many; None: :meth:`usual`.
        machine: where they run.
        options: none.
    """

    on_this_machine = True

    def __init__(self, jobs: int | None, machine: Machine, options: Mapping[str, Any]):
        if options:
            raise BenchError(f"--launcher-options {next(iter(options))}: local has no options")
        self.asked_for = jobs is not None
        self.at_once = jobs or self.usual(machine)
        self.expect(self.at_once)
        self.idle: list[Worker] = []
        self.busy: dict[Connection, tuple[Worker, Job]] = {}

    @staticmethod
    def usual(machine: Machine) -> int:
        """How many runs it serves best at a time: one on a GPU, otherwise one for each core.

        Small networks are worked on by several processes of one thread in half the time that one
        process of several threads takes. Fewer where memory is short.
        """
        chosen = machine.accelerator == "auto"
        if machine.accelerator != "cpu" and not (chosen and not has_gpu()):
            return 1
        try:
            free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, ValueError, OSError):  # not known here
            return cores()
        return max(min(cores(), free // MEMORY), 1)

    def expect(self, count: int) -> None:
        """Unasked, no more processes than jobs, so that each has a larger share."""
        if not self.asked_for:
            self.at_once = min(self.at_once, count)
        self.threads = max(cores() // self.at_once, 1)
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        self.where = f"{self.at_once} at a time on this machine, {threads} each"

    def submit(self, jobs: Sequence[Job]) -> None:
        """Gives each job to a process that has none, or to a new one."""
        for job in jobs:
            worker = self._given_to_idle(job)
            if worker is None:
                worker = self._new()
                worker.connection.send(job)
            self.busy[worker.connection] = worker, job

    def ended(self) -> list[tuple[Job, Outcome | Lost]]:
        """What has ended, after 0.2 seconds at most."""
        found = []
        for connection in wait(list(self.busy), timeout=0.2):
            worker, job = self.busy.pop(connection)
            try:
                found.append((job, connection.recv()))
                self.idle.append(worker)
            except (EOFError, OSError):
                found.append((job, _lost(worker)))
        return found

    def stop(self) -> None:
        """SIGTERM, upon which a run saves and stops; a second Ctrl-C does not wait for that."""
        workers = [*self.idle, *(worker for worker, _ in self.busy.values())]
        try:
            for worker in workers:
                worker.process.terminate()
            for worker in workers:
                worker.process.join()
        finally:
            for worker in workers:
                worker.process.kill()

    def close(self) -> None:
        """Sends the processes home."""
        for worker in self.idle:
            worker.connection.close()
        for worker in self.idle:
            worker.process.join()

    def _given_to_idle(self, job: Job) -> Worker | None:
        """The idle process that has taken a job; None where there is none, or all were killed."""
        while self.idle:
            worker = self.idle.pop()
            with contextlib.suppress(OSError):
                worker.connection.send(job)
                return worker
        return None

    def _new(self) -> Worker:
        here, there = server.context().Pipe()
        process = server.begin(serve, there, self.threads)
        there.close()
        return Worker(process, here)


def serve(connection: Connection, threads: int) -> None:
    """A worker's life: does the jobs that come through a pipe until it is closed.

    Args:
        connection: jobs come in, outcomes go out.
        threads: how many it may use.
    """
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C in the terminal is for the launcher, which passes it on
    server.use_threads(threads)
    threading.Thread(target=_end_with_launcher, daemon=True).start()
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        try:
            connection.send(do_unwatched(job))
        except Interrupted:
            return


def _end_with_launcher() -> None:
    """Saves and stops when the launcher is killed, so that the next one finds the run free."""
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)


def _lost(worker: Worker) -> Lost:
    worker.process.join()
    code = worker.process.exitcode
    if code < 0:
        return Lost(f"was killed ({signal.Signals(-code).name})", killed=code == -9)
    return Lost(f"ended with code {code}")
