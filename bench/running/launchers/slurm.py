"""A job array of a Slurm cluster, through submitit."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
import warnings
from collections.abc import Mapping, Sequence
from getpass import getuser
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError, Interrupted
from bench.running.jobs import Job, Outcome, do_unwatched
from bench.running.machine import Machine
from bench.running.workers import PATIENCE, Launcher, Lost

ARRAY = 1000  # elements: Slurm's usual limit
LOOK, UNSEEN = 10.0, 40.0  # seconds: between two looks at the queue; until an element is lost
TIMEOUTS = 100  # how often an element that meets its time limit goes on
DEFAULTS = {"name": "maml-bench", "timeout_min": 240, "cpus_per_task": 1}


class Slurm(Launcher):
    """One element of a job array for each run.

    An element that meets its time limit is queued again, and goes on where it stopped.

    Args:
        jobs: how many elements run at a time; None: as many as Slurm lets.
        machine: an element asks for a GPU if it says so.
        options: what submitit's ``AutoExecutor.update_parameters`` takes: ``timeout_min``,
            ``cpus_per_task``, ``gpus_per_node``, ``mem_gb``, ``slurm_partition``,
            ``slurm_account`` and so on; and ``cluster``: ``local`` is a trial without Slurm.

    Raises:
        BenchError: if submitit is not installed, or there is no Slurm.
    """

    def __init__(self, jobs: int | None, machine: Machine, options: Mapping[str, Any]):
        try:
            import submitit
        except ImportError:
            raise BenchError(
                "--launcher slurm needs submitit: pip install 'maml-bench[slurm]'"
            ) from None
        gpus = {"gpus_per_node": 1} if machine.accelerator in ("gpu", "cuda") else {}
        self.options = DEFAULTS | gpus | dict(options)
        self.cluster = self.options.pop("cluster", "slurm")
        if self.cluster == "slurm" and shutil.which("sbatch") is None:
            raise BenchError(
                "no Slurm here: sbatch is not found; give the command on a machine from which jobs "
                "are submitted, or use --launcher local"
            )
        if self.cluster == "slurm" and jobs:
            self.options.setdefault("slurm_array_parallelism", jobs)
        elif self.cluster != "slurm":
            self.at_once = jobs or os.cpu_count()
        self.submitit, self.executor = submitit, None
        self.elements: dict[Any, Job] = {}
        self.seen: dict[str, float] = {}  # when each was last known to wait or run
        self.looked = 0.0
        self.lost = False

    def submit(self, jobs: Sequence[Job]) -> None:
        """One array, or several where there are more than a thousand jobs.

        Raises:
            BenchError: if submitit or Slurm refuses.
        """
        if self.executor is None:
            self.folder = jobs[0].out / "slurm" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
            self.executor = self._executor(self.folder)
        work = Work(self.options["cpus_per_task"])
        for first in range(0, len(jobs), ARRAY):
            part = jobs[first : first + ARRAY]
            try:
                elements = self.executor.map_array(work, part)
            except (RuntimeError, OSError) as error:
                raise BenchError(f"sbatch refused: {_line(error)}") from None
            self.elements |= dict(zip(elements, part))
            self.seen |= dict.fromkeys((e.job_id for e in elements), time.monotonic())
        numbers = dict.fromkeys(e.job_id.split("_")[0] for e in self.elements)
        self.where = f"{self.cluster} job {', '.join(numbers)}, logs in {self.folder}"

    def ended(self) -> list[tuple[Job, Outcome | Lost]]:
        """What has ended, after a second, or more where there are many."""
        time.sleep(1 + len(self.elements) / 200)  # each look is a question to the file server
        found = []
        self._look()
        for element in list(self.elements):
            if element.paths.result_pickle.exists():
                outcome = self._outcome(element)
            elif self._is_gone(element):
                outcome = self._lost(element, "is gone from the queue")
            else:
                continue
            found.append((self.elements.pop(element), outcome))
        return found

    def _is_gone(self, element) -> bool:
        if self.cluster != "slurm":
            return element.done()
        return time.monotonic() - self.seen[element.job_id] > UNSEEN

    def _look(self) -> None:
        """Notes which elements wait or run, every now and then.

        Not by submitit, which asks Slurm's accounting, every ten minutes: many have none.
        """
        if self.cluster != "slurm" or time.monotonic() - self.looked < LOOK:
            return
        self.looked = time.monotonic()
        command = ["squeue", "--noheader", "--array", "--format=%i", "--user", getuser()]
        queue = subprocess.run(command, capture_output=True, text=True)
        if queue.returncode:  # nobody knows
            waiting_or_running = [element.job_id for element in self.elements]
        else:
            waiting_or_running = queue.stdout.split()
        self.seen |= dict.fromkeys(waiting_or_running, self.looked)

    def stop(self) -> None:
        """Cancels all elements; SIGTERM comes first, upon which a run saves and stops."""
        for element in self.elements:
            element.cancel(check=False)

    def close(self) -> None:
        """Clears submitit's files away, unless something was lost, which they may explain."""
        if not self.lost:
            self._clear(self.folder)

    @staticmethod
    def _clear(folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # that of another command is beside it
            folder.parent.rmdir()

    def _executor(self, folder: Path):
        try:
            executor = self.submitit.AutoExecutor(
                folder, cluster=self.cluster, slurm_max_num_timeout=TIMEOUTS
            )
            with warnings.catch_warnings(action="ignore"):  # partition stands for slurm_partition
                executor.update_parameters(**self.options)
        except (AssertionError, NameError, RuntimeError, TypeError, ValueError) as error:
            self._clear(folder)
            raise BenchError(f"--launcher-options: submitit says: {_line(error)}") from None
        return executor

    def _outcome(self, element) -> Outcome | Lost:
        try:
            return element.result()
        except RuntimeError as error:  # with the traceback
            last = [line for line in str(error).splitlines() if "Error" in line or "bench." in line]
            return self._lost(element, f"ended early ({(last or [''])[-1]})")

    def _lost(self, element, reason: str) -> Lost:
        self.lost = True
        return Lost(f"{reason}; its log is {element.paths.stderr}")


class Work:
    """What an element does; submitit stores it and calls it there.

    Args:
        threads: as many as cores were asked for.
    """

    def __init__(self, threads: int):
        self.threads = threads

    def __call__(self, job: Job) -> Outcome:
        """Does the job; SIGTERM, which submitit lets pass, ends it while nothing is trained.

        Raises:
            Interrupted: if it was cancelled.
        """
        signal.signal(signal.SIGTERM, _stop)
        os.environ["OMP_NUM_THREADS"] = str(self.threads)  # read when torch is imported
        return do_unwatched(job)

    def checkpoint(self, job: Job):
        """What is queued again at the time limit, or when Slurm wants the node back."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job._replace(patience=PATIENCE))


def _stop(number: int, frame) -> None:
    raise Interrupted(number)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:600]
