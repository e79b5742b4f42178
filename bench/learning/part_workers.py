"""Parts of a meta-batch in several processes of one thread each: all cores for one run."""

import multiprocessing
import os
import pickle
import signal
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from bench.learning import mixed_precision
from bench.tasks.episode import Episode

Gradient = list[Tensor | None]  # the sum of some losses, and its gradient for each parameter
Compute = Callable[[Sequence[Episode], str], list[Gradient]]


class PartWorkers:
    """Computes parts of a meta-batch at the same time, each by one thread.

    The threads of one process wait for each other after every kernel; processes do so once in a
    meta-iteration. They are forked, as a ``DataLoader``'s are, so that they have whatever network
    there is, and start in milliseconds. They keep nothing from one meta-batch to the next: tensors
    and tasks are sent each time. They end with the process that has started them, however it ends.

    A part is computed in the same way by whichever process, and the answer is in the order of the
    parts, so numbers do not depend on how many processes there are.

    Args:
        count: how many processes, this one among them.
        compute: the sum of the losses of each part and its gradients, by the engine of that name.
        tensors: what may differ from one meta-batch to the next.
    """

    def __init__(self, count: int, compute: Compute, tensors: Sequence[Tensor]):
        self.compute, self.tensors = compute, tensors
        self.made_for = _identity(tensors)
        self.connections: list[Connection] = []
        self.processes: list[int] = []
        self.close = weakref.finalize(self, _end, os.getpid(), self.processes, self.connections)
        for _ in range(count - 1):
            here, there = multiprocessing.Pipe()
            process = _fork()
            if not process:
                for connection in (*self.connections, here):
                    connection.close()  # else it would not be seen that the other end is gone
                _serve(there, compute, tensors)
            there.close()
            self.processes.append(process)
            self.connections.append(here)

    def serve(self, count: int, tensors: Sequence[Tensor]) -> bool:
        """Whether they are as many and know these tensors; not if one of them has ended."""
        enough = len(self.connections) + 1 >= count
        return self.close.alive and enough and self.made_for == _identity(tensors)

    @staticmethod
    def possible() -> bool:
        """Whether processes can be forked that compute gradients.

        Not where a device has threads of its own for them, which a fork would lose.
        """
        return sys.platform.startswith("linux") and not torch.accelerator.is_available()

    def __call__(self, parts: Sequence[Episode], engine: str) -> list[Gradient]:
        """The summed losses and gradients of each part.

        Raises:
            MemoryError: if a process was killed, which the system does where memory runs out.
            Exception: whatever computing a part raises.
        """
        step, found = len(self.connections) + 1, [None] * len(parts)
        values = [_array(v) for v in self.tensors]
        try:
            for i, connection in enumerate(self.connections, 1):
                shares = [tuple(map(_array, part)) for part in parts[i::step]]
                connection.send((values, shares, engine))
            with one_thread():
                found[::step] = self.compute(parts[::step], engine)
            for i, connection in enumerate(self.connections, 1):
                answer = connection.recv()
                if isinstance(answer, Exception):
                    raise answer
                found[i::step] = [list(map(_tensor, gradient)) for gradient in answer]
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self.close()
            raise MemoryError(
                "a process that computes tasks of the meta-batch was killed, most likely for want "
                "of memory"
            ) from None
        except BaseException:  # what the others are at is of no use any more
            self.close()
            raise
        return found


@contextmanager
def one_thread() -> Iterator[None]:
    """Within this context torch computes with one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _identity(tensors: Sequence[Tensor]) -> tuple:
    return mixed_precision.asked_for(), *((id(v), v.dtype, v.requires_grad) for v in tensors)


def _fork() -> int:
    with warnings.catch_warnings():  # that threads are lost; the child starts none
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _serve(connection: Connection, compute: Compute, tensors: Sequence[Tensor]) -> NoReturn:
    """The life of a worker: ends when there is nobody left to ask."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # for the process that trains, which may go on
        warnings.simplefilter("ignore")  # it says the same
        torch.set_num_threads(1)
        while True:
            values, parts, engine = connection.recv()
            with torch.no_grad():
                for tensor, value in zip(tensors, values):
                    tensor.copy_(_tensor(value))
            try:
                parts = [Episode(*map(_tensor, part)) for part in parts]
                answer = [list(map(_array, gradient)) for gradient in compute(parts, engine)]
            except Exception as error:
                answer = _portable(error)
            connection.send(answer)
    except (EOFError, OSError):
        pass
    finally:
        os._exit(0)  # nothing is cleaned up here that belongs to the other process


def _portable(error: Exception) -> Exception:
    """The error itself, if it survives being sent."""
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")


def _array(value: Tensor | None) -> np.ndarray | None:
    return None if value is None else value.detach().numpy()


def _tensor(value: np.ndarray | None) -> Tensor | None:
    """In memory of torch's own, aligned as the original: some kernels sum accordingly."""
    return None if value is None else torch.from_numpy(value).clone()


def _end(owner: int, processes: list[int], connections: list[Connection]) -> None:
    """Ends the workers, if they are this process's own and not those of one it was forked from."""
    if os.getpid() != owner:
        return
    for connection in connections:
        connection.close()
    for process in processes:
        with suppress(ProcessLookupError, ChildProcessError):  # somebody else has seen it end
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
