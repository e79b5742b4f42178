import os
import subprocess
import sys
import time

import pytest
import torch
from rich.console import Console

from bench.results import records
from bench.running import grid
from bench.running.machine import Machine
from bench.running.suite import Study, Suite

SUITE = Suite(
    name="tiny",
    description="two short runs",
    studies=(
        Study(
            dataset="sinusoid",
            shots=(5,),
            iterations=1200,  # long enough for a signal to find it at work on a busy machine
            validations=2,
            data={"val_episodes": 10, "test_episodes": 20},
            algorithms={"maml": {}, "fomaml": {}},
        ),
    ),
)
# the command line on this suite, without what other tests are for
SCRIPT = f"""
import sys
from bench.cli import main as cli
from bench.running import grid
from bench.running.suite import Study, Suite
from bench.running.suites import quick
quick.SUITE = {SUITE!r}
given = grid._for_workers
grid._for_workers = lambda jobs: [job._replace(measure=False) for job in given(jobs)]
grid.report = lambda *arguments: None
sys.exit(cli.main(sys.argv[1:]))
"""


def result(out):
    (path,) = out.glob("runs/tiny/*-maml-*.json")
    record = records.read(path)
    assert record["provenance"]["threads"] == 1
    return record["metrics"], record["evaluation"], record["training"]["validation"]


class Grid:
    """A grid that is worked off by a command in a process of its own.

    Args:
        out: its results folder.
        flags: for the launcher.
        environment: variables.
    """

    def __init__(self, out, *flags, **environment):
        self.out = out
        command = ["run", "quick", "--algorithms", "maml", "--accelerator", "cpu"]
        command += ["--checkpoint-every", "0.1"]
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

    def worker(self, other_than=None):
        """The process that trains MAML, once it has saved."""
        until = time.monotonic() + 120
        while time.monotonic() < until and self.process.poll() is None:
            for path in self.out.glob("checkpoints/*-maml-*/*.resume"):
                words = (path.parent / ".lock").read_text().split()  # none while it is written
                if words and int(words[1]) != other_than:
                    return int(words[1])
            time.sleep(0.02)
        self.process.kill()
        raise AssertionError(f"nothing was saved: {self.process.communicate()[0]}")

    def result(self):
        """What must not depend on who has trained MAML."""
        return result(self.out)


@pytest.fixture
def start():
    """Starts a grid: ``start(out, *flags, **environment)``."""
    started = []

    def start(*args, **environment):
        started.append(Grid(*args, **environment))
        return started[-1]

    yield start
    for command in started:
        command.process.kill()
        command.process.wait()
        command.process.stdout.close()


@pytest.fixture
def suite():
    """The suite of the two short runs."""
    return SUITE


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The folder of the same runs, done in one go."""
    out, threads = tmp_path_factory.mktemp("undisturbed"), torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.running.jobs.cost", lambda *arguments: None)
        grid.finish(SUITE.experiments(), out, Console(quiet=True), Machine("cpu"))
    torch.set_num_threads(threads)
    return out


@pytest.fixture
def expected(undisturbed):
    """The result of MAML there."""
    return result(undisturbed)
