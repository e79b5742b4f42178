"""One process that has imported the heavy modules, from which runs and probes are forked.

Importing them takes seconds of every process. The server does nothing else, so no process is ever
forked that has run a network (forking one with OpenMP threads hangs). Elsewhere than on Linux,
where forking is not safe, processes are spawned, and import for themselves.
"""

import logging
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

from bench.base.errors import BenchError

PRELOAD = [
    "bench.running.probe",
    "bench.running.jobs",
    "bench.running.training",
    "bench.learning.gradient_based",
]
FORKS = sys.platform.startswith("linux")


def context() -> BaseContext:
    """What makes processes, as :mod:`multiprocessing` does, each with the modules imported."""
    if not FORKS:
        return multiprocessing.get_context("spawn")
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOAD)
    return found


def start() -> None:
    """Has the server import while this process does something else."""
    if FORKS:
        context()
        from multiprocessing import forkserver

        forkserver.ensure_running()


def begin(function: Callable, *arguments, daemon: bool = False) -> BaseProcess:
    """A process of its own that does something; the user's script is not run again in it.

    What this process keeps silent, that one does too.

    Args:
        function: of a module, by name.
        *arguments: its arguments; pickled.
        daemon: whether it ends with this process.
    """
    process = context().Process(target=_begun, args=(_silent(), function, arguments), daemon=daemon)
    with _without_main():
        process.start()
    return process


def _silent() -> list[str]:
    """Names of the loggers that are switched off."""
    known = logging.root.manager.loggerDict.items()
    return [name for name, logger in known if getattr(logger, "disabled", False)]


def _begun(silent: list[str], function: Callable, arguments: tuple) -> None:
    for name in silent:
        logging.getLogger(name).disabled = True
    function(*arguments)


@contextmanager
def _without_main() -> Iterator[None]:
    """Within this context, a process that starts does not import the main module.

    Python's own way is to do so, so that a script without ``if __name__ == "__main__"`` would do
    all its work in each; and nothing of it is needed.
    """
    main = sys.modules["__main__"].__dict__
    hidden = {name: main[name] for name in ("__spec__", "__file__") if name in main}
    main["__spec__"] = None
    main.pop("__file__", None)
    try:
        yield
    finally:
        main.update(hidden)


def use_threads(count: int | None) -> None:
    """Says in a new process how many threads it may use; None: as many as torch takes.

    Two processes with threads for all cores each slow each other down a hundredfold.
    """
    import torch

    if count is not None:
        torch.set_num_threads(count)


class Killed(BenchError):
    """A process was killed by the system, which does so where memory runs out."""


def call(function: Callable, *arguments) -> Any:
    """What a function returns in a process of its own.

    Args:
        function: of a module, by name.
        *arguments: its arguments; pickled.

    Raises:
        Killed: if the process is killed.
        BenchError: if the function raises anything, or the process ends otherwise.
    """
    receiver, sender = context().Pipe(duplex=False)
    process = begin(_child, sender, function, arguments, daemon=True)
    sender.close()
    try:
        result, error = receiver.recv()
    except EOFError:  # it ended without an answer
        process.join()
        if process.exitcode == -signal.SIGKILL:
            raise Killed("the process was killed, most likely for want of memory") from None
        raise BenchError(f"the process ended with code {process.exitcode}") from None
    finally:
        receiver.close()
        process.terminate()
        process.join()
    if error:
        raise BenchError(error)
    return result


def _child(sender: Connection, function: Callable, arguments: tuple) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this process
    try:
        answer = function(*arguments), None
    except BenchError as error:
        answer = None, str(error)
    except Exception as error:
        answer = None, f"{type(error).__name__}: {error}"
    sender.send(answer)
