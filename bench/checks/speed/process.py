"""A process of one contestant: answers one line of JSON for every line it is sent."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import bench
from bench.base.errors import BenchError


class Process:
    """Runs a module of the suite in a contestant's Python.

    Args:
        name: what messages call it.
        python: its interpreter.
        module: what it runs.
        given: the first argument, as JSON.
        threads: how many it may use.
    """

    def __init__(self, name: str, python: str, module: str, given: dict, threads: int):
        self.name = name
        environment = os.environ | {
            "PYTHONPATH": str(Path(bench.__file__).resolve().parent.parent),
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "PYTHONSAFEPATH": "1",  # not another "bench" in the folder this is called from
            "PYTHONWARNINGS": "ignore",
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # others need the GPU's memory too
        }
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the worker
        self.process = subprocess.Popen(
            [python, "-m", module, json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment,
        )

    def ask(self, **request: Any) -> None:
        """Sends a request."""
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            self.answer()

    def answer(self) -> Any:
        """The next answer; the first tells about the process.

        Raises:
            BenchError: if the process has died; the message ends with its last words.
        """
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            words = self.errors.read().strip().splitlines()[-1:] or ["without a word"]
            raise BenchError(f"{self.name}: ended with code {self.process.returncode}: {words[0]}")
        return json.loads(line)

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.errors.close()
