"""A grid done by several processes of this machine, which share its cores."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.errors import BenchError, Interrupted
from bench.interruption import noted

WORKER = "MAML_BENCH_WORKER"  # set in processes that work off a grid and report nothing


def spread(arguments: list[str], jobs: int, say: Callable[[str], None]) -> None:
    """Runs the same command in several processes at once; each takes the runs that are free.

    Args:
        arguments: of ``maml-bench``.
        jobs: how many processes.
        say: told what they print.

    Raises:
        BenchError: if a process ends with something else than failed runs.
        Interrupted: after Ctrl-C or SIGTERM, when all have saved and stopped.
    """
    threads = max((os.cpu_count() or 1) // jobs, 1)
    # two processes with threads for all cores each slow each other down a hundredfold
    environment = os.environ | {WORKER: "1", "OMP_NUM_THREADS": str(threads)}
    with noted() as signals, tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder) / str(n) for n in range(jobs)]
        processes = []
        for log in logs:
            with log.open("wb") as output:
                command = [sys.executable, "-m", "bench", *arguments]
                options = {"stdout": output, "stderr": subprocess.STDOUT, "env": environment}
                processes.append(subprocess.Popen(command, start_new_session=True, **options))
        said, told = [0] * jobs, False
        while True:
            running = any(process.poll() is None for process in processes)
            for number, log in enumerate(logs):
                text = log.read_bytes()[said[number] :]
                whole = text[: text.rfind(b"\n") + 1] if running else text
                said[number] += len(whole)
                for line in whole.decode("utf-8", "replace").splitlines():
                    say(f"job {number + 1}: {line}")
            if signals.number and not told:
                told = True
                for process in processes:
                    process.send_signal(signals.number)
            if not running:
                break
            time.sleep(0.2)
        if signals.number:
            raise Interrupted(signals.number)
    if bad := [p.returncode for p in processes if p.returncode not in (0, 2)]:
        raise BenchError(
            f"{len(bad)} of {jobs} jobs ended with code {bad[0]}; run the same command again to "
            "go on with the rest"
        )


def is_worker() -> bool:
    """Whether this process works off a grid that another one reports on."""
    return WORKER in os.environ
