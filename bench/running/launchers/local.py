"""Processes of this machine, which share its cores."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from bench.base import child_processes
from bench.base.errors import BenchError, Interrupted
from bench.running.jobs import Job, Outcome, do_unwatched
from bench.running.machine import Machine
from bench.running.workers import Launcher, Lost


class Worker(NamedTuple):
    """A process that does one job after the other."""

    process: Any
    connection: Connection


class Local(Launcher):
    """``jobs`` processes, each with its share of the cores.

    Args:
        jobs: how many.
        machine: not asked for anything.
        options: none.
    """

    def __init__(self, jobs: int | None, machine: Machine, options: Mapping[str, Any]):
        if options:
            raise BenchError(f"--launcher-options {next(iter(options))}: local has no options")
        self.at_once = jobs or 1
        # two processes with threads for all cores each slow each other down a hundredfold
        self.threads = max((os.cpu_count() or 1) // self.at_once, 1)
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        self.where = f"{self.at_once} at a time on this machine, {threads} each"
        self.idle: list[Worker] = []
        self.busy: dict[Connection, tuple[Worker, Job]] = {}

    def submit(self, jobs: Sequence[Job]) -> None:
        """Gives each job to a process that has none, or to a new one."""
        for job in jobs:
            worker = self.idle.pop() if self.idle else self._new()
            self.busy[worker.connection] = worker, job
            worker.connection.send(job)

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

    def _new(self) -> Worker:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=serve, args=(there, self.threads), name="worker")
        with child_processes.without_main():
            process.start()
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
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read when torch is imported, with the first job
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
