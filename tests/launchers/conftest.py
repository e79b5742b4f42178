import json
import os
import subprocess
import sys
import time

import pytest

# The command line on a grid of two short runs, without what other tests are for
SCRIPT = """
import sys
from bench import cli, jobs, runner
from bench.suite import Study, Suite
from bench.suites import quick
study = Study(
    dataset="sinusoid", shots=(5,), iterations=300, validations=2,
    data={"val_episodes": 10, "test_episodes": 20}, algorithms={"maml": {}, "fomaml": {}},
)
quick.SUITE = Suite("tiny", "two short runs", (study,))
once = runner._measured_once
runner._measured_once = lambda grid: [job._replace(measure=False) for job in once(grid)]
jobs.cost = lambda *arguments: None
runner.report = lambda *arguments: None
sys.exit(cli.main(sys.argv[1:]))
"""


class Grid:
    """A grid that is worked off by a command in a process of its own.

    Args:
        out: its results folder.
        flags: for the launcher.
        environment: variables.
    """

    def __init__(self, out, *flags, **environment):
        self.out = out
        command = ["run", "quick", "--accelerator", "cpu", "--checkpoint-every", "0.1"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *command, "--out", str(out), *flags],
            env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def ended(self, code=0):
        """What it has said by its end."""
        said = self.process.communicate(timeout=240)[0]
        assert self.process.returncode == code, said
        return " ".join(said.split())

    def worker(self, algorithm):
        """The process that trains it, once it has saved for the first time."""
        until = time.monotonic() + 120
        while time.monotonic() < until and self.process.poll() is None:
            for path in self.out.glob(f"checkpoints/*-{algorithm}-*/*.resume"):
                return int((path.parent / ".lock").read_text().split()[1])
            time.sleep(0.02)
        self.process.kill()
        raise AssertionError(f"nothing was saved: {self.process.communicate()[0]}")

    def results(self):
        """What must not depend on who did the runs."""
        found = [json.loads(path.read_text()) for path in self.out.glob("runs/tiny/*.json")]
        assert {r["provenance"]["threads"] for r in found} == {1}
        return {
            r["experiment"]["key"]: (r["metrics"], r["evaluation"], r["training"]["validation"])
            for r in found
        }


@pytest.fixture
def start():
    """Starts a grid: ``start(out, *flags, **environment)``."""
    started = []

    def start(*args, **environment):
        started.append(Grid(*args, **environment))
        return started[-1]

    yield start
    for grid in started:
        grid.process.kill()
        grid.process.wait()
        grid.process.stdout.close()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The results of a grid that one process did in one go."""
    grid = Grid(tmp_path_factory.mktemp("undisturbed"))
    said = grid.ended()
    results = grid.results()
    assert len(results) == 2, said
    return results
