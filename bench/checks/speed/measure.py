"""Asks contestants in turn, round after round, so that a slow minute slows all of them."""

import importlib
import os
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.errors import BenchError, nearest
from bench.checks.speed import contestants as package
from bench.checks.speed.process import Process
from bench.checks.speed.workloads import Workload

REFERENCE = "plain_loop"
TOLERANCE = 1e-8  # relative, of meta-gradients in float64
SECONDS = 0.5  # of one contestant's turn, or one iteration if that takes longer
Say = Callable[[str], None]


def names() -> list[str]:
    """All contestants."""
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__))


@dataclass(frozen=True)
class Contestant:
    """A way to compute a meta-iteration, and the Python it runs in.

    Attributes:
        name: file name in ``bench/checks/speed/contestants``.
        python: its interpreter.
    """

    name: str
    python: str = sys.executable

    @property
    def label(self) -> str:
        """Its name in tables."""
        return self.name.replace("_", "-")

    @property
    def module(self):
        """What its file defines."""
        return importlib.import_module(f"bench.checks.speed.contestants.{self.name}")

    def takes(self, workload: Workload, order: int) -> bool:
        """Whether it can do this."""
        wanted = getattr(self.module, "WORKLOADS", (workload.name,))
        return order in self.module.ORDERS and workload.name in wanted

    def installed(self) -> bool:
        """Whether its library is there.

        Raises:
            BenchError: if its interpreter does not run.
        """
        find = f"import importlib.util as u; print(u.find_spec({self.module.package!r}) is None)"
        try:
            done = subprocess.run(
                [self.python, "-c", find], capture_output=True, text=True, timeout=60
            )
        except OSError as error:
            raise BenchError(
                f"--peer-python {self.label}={self.python}: {error.strerror}"
            ) from None
        return done.stdout.strip() == "False"


def field_of(peers: dict[str, str], only: Sequence[str] | None, say: Say) -> list[Contestant]:
    """The contestants that are installed.

    Args:
        peers: interpreters of contestants that live in another environment, by name.
        only: their names, or None for all.
        say: told who is missing.

    Raises:
        BenchError: for unknown names, or an interpreter that lacks the library.
    """
    for name in [*peers, *(only or ())]:
        if name.replace("-", "_") not in names():
            raise BenchError(f"unknown contestant {name!r}: {nearest(name, names())}")
    peers = {n.replace("-", "_"): p for n, p in peers.items()}
    wanted = names() if only is None else [n.replace("-", "_") for n in only]
    found = []
    for name in wanted:
        contestant = Contestant(name, peers.get(name, sys.executable))
        if contestant.installed():
            found.append(contestant)
        elif name in peers:
            raise BenchError(f"--peer-python {name}={peers[name]}: it has no {name}")
        else:
            say(
                f"{contestant.label}: not installed here; with another environment: "
                f"--peer-python {contestant.label}=PYTHON"
            )
    return found


class Worker(Process):
    """One process of one contestant on one workload.

    Args:
        contestant: who.
        workload: what.
        order: 1 or 2.
        threads: how many it may use.
        dtype: ``"float32"`` or ``"float64"``.
        keep_memory: whether its allocator keeps what is freed.
        warm_up: whether it runs two iterations before it is ready.
        number: which of several processes that share the cores it is.
    """

    def __init__(
        self,
        contestant: Contestant,
        workload: Workload,
        order: int,
        threads: int,
        dtype: str = "float32",
        keep_memory: bool = True,
        warm_up: bool = True,
        number: int = 0,
    ):
        given = {
            "contestant": contestant.name,
            "workload": asdict(workload),
            "order": order,
            "threads": threads,
            "dtype": dtype,
            "keep_memory": keep_memory,
            "warm_up": warm_up,
        }
        super().__init__(
            f"{contestant.label} on {workload.name}, order {order}",
            contestant.python,
            "bench.checks.speed.worker",
            given,
            threads,
        )
        if hasattr(os, "sched_setaffinity"):  # JAX takes as many threads as it has cores
            cores = sorted(os.sched_getaffinity(0))
            share = cores[number * threads : (number + 1) * threads]
            os.sched_setaffinity(self.process.pid, share)


def gradient_errors(
    contestants: Sequence[Contestant], workload: Workload, order: int
) -> dict[str, float | str]:
    """How far each meta-gradient is from the plain loop's on a processor, small and in float64.

    Returns:
        By name, the relative error, or what went wrong.
    """
    rows = 2 * workload.outputs if workload.images else 7
    small = replace(workload, tasks=2, inner_steps=2, query=rows)
    on_cpu = replace(small, accelerator="cpu")
    true, errors = _gradient(Contestant(REFERENCE), on_cpu, order), {}
    for contestant in contestants:
        try:
            found = _gradient(contestant, small, order)
        except BenchError as error:
            errors[contestant.name] = str(error)
            continue
        errors[contestant.name] = float(np.linalg.norm(found - true) / np.linalg.norm(true))
    return errors


def _gradient(contestant: Contestant, workload: Workload, order: int) -> np.ndarray:
    """The meta-gradient in float64, in one vector."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gradient.npz"
        with Worker(contestant, workload, order, 1, "float64", warm_up=False) as worker:
            worker.answer()
            worker.ask(do="gradient", path=str(path))
            worker.answer()
        with np.load(path) as arrays:
            return np.concatenate([arrays[n].ravel() for n in sorted(arrays.files)])


@dataclass
class Timing:
    """What was measured of one contestant in one split of the cores.

    Attributes:
        processes: how many share the tasks.
        seconds: of one meta-iteration, ``[rounds]``.
        about: what the process told of itself.
    """

    processes: int
    about: dict[str, Any]
    seconds: list[float] = field(default_factory=list)


def splits(workload: Workload, cores: int) -> list[int]:
    """Numbers of processes that the cores are split into: one with all, or one for each.

    A GPU is not split.
    """
    divides = cores > 1 and workload.tasks % cores == 0
    return [1, cores] if divides and workload.accelerator == "cpu" else [1]


def interleaved(
    contestants: Sequence[tuple[Contestant, Workload, int]], rounds: int, cores: int, say: Say
) -> tuple[list[list[Timing]], dict[str, float]]:
    """Times contestants in turn, in every split of the cores.

    The processes of a split work at the same time, each on its share of the tasks; they do not
    exchange gradients.

    Args:
        contestants: with workload and order.
        rounds: turns of each.
        cores: how many may be used.
        say: told how it goes.

    Returns:
        For each contestant its timings, one a split; and the floor: the operations of the first
        workload's convolutions and matrix products, and the machine's rate of matrix products.
    """
    first = contestants[0]
    with ExitStack() as stack:

        def team(contestant, workload, order, processes):
            share = replace(workload, tasks=workload.tasks // processes)
            threads = cores // processes
            members = [
                stack.enter_context(Worker(contestant, share, order, threads, number=n))
                for n in range(processes)
            ]
            return members, Timing(processes, [m.answer() for m in members][-1])

        reference = stack.enter_context(
            Worker(Contestant(REFERENCE), first[1], first[2], cores, warm_up=False)
        )
        reference.answer()
        reference.ask(do="flops")
        floor = {"operations": reference.answer(), "operations_per_second": 0.0}
        teams = []
        for contestant, workload, order in contestants:
            say(f"starting {contestant.label}")
            teams.append([team(contestant, workload, order, n) for n in splits(workload, cores)])
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            reference.ask(do="rate")
            floor["operations_per_second"] = max(floor["operations_per_second"], reference.answer())
            for members, timing in (member for of_one in teams for member in of_one):
                count = 1
                if timing.seconds:
                    count = max(1, round(SECONDS / timing.seconds[-1]))
                for member in members:
                    member.ask(do="iterate", count=count)
                timing.seconds.append(max(m.answer() for m in members))
    return [[timing for _, timing in of_one] for of_one in teams], floor


def peak_memory(contestant: Contestant, workload: Workload, order: int, cores: int) -> float | None:
    """Highest resident memory above that of its imports, in MiB, in a fresh process.

    One process with all cores and the system's usual allocator. On a GPU, of the GPU's memory; None
    of JAX, which takes most of it at once.
    """
    with Worker(contestant, workload, order, cores, keep_memory=False) as worker:
        return worker.answer()["peak_mib"]
