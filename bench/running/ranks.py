"""The processes that do a run together, one for each device, and what they agree on.

Lightning starts them, or ``torchrun`` or SLURM did. The first one plans, prints, records, locks and
measures; the others train along. What they tell each other here goes over a group of its own (gloo,
on the processor), so that it never meets what Lightning and DDP exchange, and costs a GPU nothing.
"""

import functools
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from bench.base.errors import BenchError, DivergedElsewhere, Interrupted
from bench.running.machine import Machine
from bench.running.quiet import quiet

T = TypeVar("T")
PATIENCE = timedelta(seconds=20)  # for the others to fail too, where one has
ALL_DAY = timedelta(days=1)  # while the first process measures or draws what the others do not
FIRST = "MAML_BENCH_FIRST"  # the number of the process that started the others


class ProcessesDiverged(BenchError):
    """The processes no longer do the same, so that nothing can go on.

    Args:
        reason: in words.
        here: whether it happened in this process.
    """

    def __init__(self, reason: str, here: bool):
        super().__init__(f"{reason}; run the same command again to go on with the rest")
        self.here = here


class World:
    """The processes of a run.

    Args:
        rank: the number of this one, from 0.
        size: how many there are.
        started: those that this one started.
    """

    def __init__(self, rank: int = 0, size: int = 1, started: tuple = ()):
        self.rank, self.size, self._started = rank, size, started
        self._runs = 0
        if size > 1:
            from torch import distributed

            self._group = distributed.new_group(backend="gloo", timeout=ALL_DAY)
            # A notice board, which can be read without waiting for the others to look at it too.
            address, port = os.environ["MASTER_ADDR"], 0
            if self.is_first:
                self._board = distributed.TCPStore(
                    address, 0, is_master=True, wait_for_workers=False
                )
                port = self._board.port
            port = self.broadcast(port)
            if not self.is_first:
                self._board = distributed.TCPStore(address, port, is_master=False)

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that plans, prints and records."""
        return self.rank == 0

    def broadcast(self, value: T) -> T:
        """What the first process gives; the others' values do not matter.

        Raises:
            ProcessesDiverged: if the first process has ended.
        """
        if self.size == 1:
            return value
        from torch import distributed

        box: list[Any] = [value]
        with self._exchanging():
            distributed.broadcast_object_list(box, src=0, group=self._group)
        return box[0]

    def all_reduce_max(self, value: int) -> int:
        """The largest of all processes' numbers.

        Raises:
            ProcessesDiverged: if another process has ended.
        """
        if self.size == 1:
            return value
        import torch

        largest = torch.tensor(value)
        with self._exchanging():
            torch.distributed.all_reduce(
                largest, op=torch.distributed.ReduceOp.MAX, group=self._group
            )
        return int(largest)

    def gather_errors(self, error: Exception | None) -> Exception | None:
        """What a run ended with, when every process has ended it.

        A mistake that the user can put right, a loss that is not finite among them, is raised where
        nothing is being exchanged. If the others have come to the end of the run too, however it
        ended for them, all can go on with the next. After anything else, or if they have not, as
        they wait for this process in the middle of something, they cannot.

        Args:
            error: what this process ended with; None: all went well.

        Returns:
            The first process' error, or another one's if that says more; None if there is none.

        Raises:
            ProcessesDiverged: if the processes cannot go on together.
        """
        if self.size == 1:
            return error
        from torch import distributed

        if isinstance(error, ProcessesDiverged):
            raise error
        if error is not None and not isinstance(error, BenchError):
            raise self._diverged(None if is_lost(error) else error) from error
        self._runs += 1
        ended = [f"run {self._runs} of process {n}" for n in range(self.size)]
        errors: list[Exception | None] = [None] * self.size
        with self._exchanging(error):
            self._board.set(ended[self.rank], "ended")
            if error is not None:
                self._board.wait(ended, PATIENCE)
            distributed.all_gather_object(errors, error, group=self._group)
        found = [e for e in errors if e is not None]
        return min(found, key=lambda e: isinstance(e, DivergedElsewhere), default=None)

    @contextmanager
    def end_together(self) -> Iterator[None]:
        """Within this context, what ends the first process ends the others, without a word.

        Raises:
            SystemExit: in the others.
        """
        try:
            yield
        except BaseException as error:
            if self.is_first:
                if isinstance(error, ProcessesDiverged):
                    for process in self._started:  # on a GPU they would wait for long
                        process.kill()
                raise
            if isinstance(error, (Interrupted, KeyboardInterrupt)):
                raise SystemExit(0) from None  # as all have agreed; the first one says so
            if isinstance(error, ProcessesDiverged):
                if error.here:
                    print(f"process {self.rank + 1} of {self.size}: {error}", file=sys.stderr)
                self._leave()
            raise

    def _leave(self) -> None:
        """Ends one of the others, after the first process had time to notice and say why."""
        from torch import distributed

        distributed.destroy_process_group()
        time.sleep(PATIENCE.total_seconds())
        raise SystemExit(1)

    def _diverged(self, error: Exception | None) -> ProcessesDiverged:
        """Why the processes cannot go on: what this one ended with; None if it was left alone."""
        if error is None:
            return ProcessesDiverged(
                f"another of the {self.size} processes has ended or hangs", here=False
            )
        words = " ".join(str(error).split()) or type(error).__name__
        return ProcessesDiverged(words, here=True)

    @contextmanager
    def _exchanging(self, error: Exception | None = None) -> Iterator[None]:
        """Within this context, a process that is missing is named as such.

        Args:
            error: what this process has ended with, if it has.
        """
        try:
            yield
        except RuntimeError as lost:  # all that torch raises where another process is missing
            raise self._diverged(error) from lost


def is_lost(error: Exception) -> bool:
    """Whether an error says that another process is not there any more.

    By the words of its message: torch raises a plain RuntimeError for most of them.
    """
    from torch import distributed

    text = str(error)
    return isinstance(error, distributed.DistError) or any(
        word in text for word in ("gloo", "Connection closed by peer", "NCCL")
    )


def join(machine: Machine) -> World:
    """Starts the other processes of a run, if it has any and nobody did, and meets them.

    Args:
        machine: says how many.

    Raises:
        BenchError: if there are no such devices, or the cluster has started another number.
    """
    if machine.devices in (1, "1") and machine.nodes == 1:
        return World()
    return _join(machine.accelerator, machine.devices, machine.nodes)


@functools.cache  # they meet once
def _join(accelerator: str, devices: int | str, nodes: int) -> World:
    from lightning import Fabric
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    if "LOCAL_RANK" not in os.environ:  # nobody started this process as one of several
        os.environ[FIRST] = str(os.getpid())
    elif FIRST in os.environ:
        threading.Thread(target=_end_with, args=(int(os.environ[FIRST]),), daemon=True).start()
    try:
        with quiet():
            fabric = Fabric(
                accelerator=accelerator, devices=devices, num_nodes=nodes, plugins=plugins()
            )
            fabric.launch()
    except (
        MisconfigurationException,
        ImportError,
        TypeError,
        ValueError,
        RuntimeError,
    ) as error:
        raise BenchError(
            f"accelerator={accelerator!r}, devices={devices!r}, num_nodes={nodes}: {error}"
        ) from None
    finally:
        os.environ.pop(FIRST, None)  # those that were started have it
    launcher = fabric.strategy.launcher
    return World(fabric.global_rank, fabric.world_size, tuple(getattr(launcher, "procs", ())))


def plugins() -> list:
    """What Lightning needs to be told of the cluster: to leave stopped runs to us."""
    from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

    slurm = SLURMEnvironment.detect() and not TorchElasticEnvironment.detect()
    return [SLURMEnvironment(auto_requeue=False)] if slurm else []


def torchrun_devices() -> tuple[int, int]:
    """How many processes ``torchrun`` started on each node, and on how many; 1 and 1 without it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return 1, 1
    each = int(os.environ["LOCAL_WORLD_SIZE"])
    return each, int(os.environ["WORLD_SIZE"]) // each


def _end_with(parent: int) -> None:
    """Ends this process when the one that started it has ended, whatever it waits for."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
