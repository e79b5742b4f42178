"""An existing Ray cluster."""

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.running.jobs import Job, Outcome, do_unwatched
from bench.running.machine import Machine
from bench.running.workers import Launcher, Lost

START = (
    "start one with ray start --head on one machine and ray start --address=HEAD:6379 on the "
    "others, or name it: RAY_ADDRESS, or --launcher-options address=HEAD:6379"
)


class Ray(Launcher):
    """Tasks on the cluster that ``RAY_ADDRESS`` or the option ``address`` names, or the nearest.

    Args:
        jobs: how many at a time; None: as many as the cluster has room for.
        machine: a task asks for a GPU if it says so.
        options: ``address``, and what Ray takes as ``.options(...)`` of a task: ``num_cpus``,
            ``num_gpus``, ``memory``, ``resources``.

    Raises:
        BenchError: if Ray is not installed, no cluster runs, or an option is not Ray's.
    """

    def __init__(self, jobs: int | None, machine: Machine, options: Mapping[str, Any]):
        try:
            import ray
        except ImportError:
            raise BenchError(
                "--launcher ray needs Ray: pip install 'maml-bench[ray]', here and on the cluster"
            ) from None
        options = dict(options)
        address = str(options.pop("address", os.environ.get("RAY_ADDRESS", "auto")))
        gpus = {"num_gpus": 1} if machine.accelerator in ("gpu", "cuda") else {}
        self.ray, self.at_once = ray, jobs
        self.tasks: dict[Any, Job] = {}
        try:
            # a lost task is handed out again by bench.running.workers, which says so
            self.remote = ray.remote(_do).options(max_retries=0, **gpus | options)
        except (TypeError, ValueError) as error:
            raise BenchError(f"--launcher-options: Ray says: {error}") from None
        try:
            _reach(address)
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (OSError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise BenchError(f"no Ray cluster at address {address!r} ({reason}): {START}") from None
        room = ray.cluster_resources()
        self.where = f"tasks on a Ray cluster with {room.get('CPU', 0):g} CPU" + (
            f", {room['GPU']:g} GPU" if "GPU" in room else ""
        )

    def submit(self, jobs: Sequence[Job]) -> None:
        """One task a job."""
        for job in jobs:
            self.tasks[self.remote.remote(job, Path.cwd())] = job

    def ended(self) -> list[tuple[Job, Outcome | Lost]]:
        """What has ended, after half a second at most."""
        ready, _ = self.ray.wait(list(self.tasks), timeout=0.5)
        found = []
        for task in ready:
            try:
                outcome = self.ray.get(task)
            except self.ray.exceptions.RayError as error:
                outcome = _lost(error)
            found.append((self.tasks.pop(task), outcome))
        return found

    def stop(self) -> None:
        """Ctrl-C in every task, upon which a run saves and stops."""
        try:
            for task in self.tasks:
                self.ray.cancel(task)
            if self.tasks:
                self.ray.wait(list(self.tasks), num_returns=len(self.tasks), timeout=60)
        finally:
            self.ray.shutdown()  # which ends what is still running

    def close(self) -> None:
        """Leaves the cluster."""
        self.ray.shutdown()


def _reach(address: str) -> None:
    """Raises OSError if nobody answers there: Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=10).close()


def _do(job: Job, folder: Path) -> Outcome:
    """A task: does a job in the launcher's folder, to which relative paths refer."""
    if folder.is_dir():
        os.chdir(folder)
    return do_unwatched(job)


def _lost(error: Exception) -> Lost:
    name = type(error).__name__
    if isinstance(error, BaseException) and hasattr(error, "traceback_str"):  # RayTaskError
        name = str(error).strip().splitlines()[-1][:300]
    return Lost(f"was lost ({name})", killed=name in ("WorkerCrashedError", "OutOfMemoryError"))
