"""Runs a function in several processes of this machine that can reach each other, and no others.

The processes are those of ``torchrun``'s kind: each has a rank, and one of them keeps the address
where all meet. They start from a process that has imported the heavy modules once, and end with the
first one that fails, and with the process that asked for them.
"""

import os
import pickle
import re
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.running import server

LOOPBACK = "127.0.0.1"


def run(function: Callable, processes: int, limit: float, *arguments: Any) -> list[Any]:
    """What a function returns in each of several processes.

    Args:
        function: one of a module, called with the rank and ``arguments``.
        processes: how many.
        limit: seconds after which they are ended.
        *arguments: what can be pickled, as the results must be.

    Returns:
        One result a process, by rank.

    Raises:
        BenchError: if one fails, or all take too long; none is left running.
    """
    from torch import multiprocessing as torch_processes

    method = server.context().get_start_method()
    with tempfile.TemporaryDirectory() as folder:
        group = torch_processes.start_processes(
            _member,
            (function, arguments, processes, free_port(), folder),
            processes,
            join=False,
            daemon=True,
            start_method=method,
        )
        end = time.monotonic() + limit
        try:
            while not group.join(max(end - time.monotonic(), 0), grace_period=1):
                if time.monotonic() >= end:
                    raise BenchError(
                        f"{processes} processes did not end within {limit:g} s: they may wait for "
                        "each other; none is left running"
                    )
        except (
            torch_processes.ProcessExitedException,
            torch_processes.ProcessRaisedException,
        ) as error:
            raise BenchError(
                f"process {error.error_index + 1} of {processes} failed: {_reason(error)}"
            ) from None
        finally:
            for process in group.processes:
                process.kill()
                process.join()
        paths = [Path(folder, str(rank)) for rank in range(processes)]
        return [pickle.loads(path.read_bytes()) for path in paths]  # which our processes wrote


def _member(rank: int, function: Callable, arguments, processes: int, port: int, folder: str):
    """One of the processes."""
    loopback = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    network = {f"{user}_SOCKET_IFNAME": loopback[0] for user in ("GLOO", "NCCL") if loopback}
    os.environ |= network | {
        "MASTER_ADDR": LOOPBACK,
        "MASTER_PORT": str(port),
        "LOCAL_RANK": str(rank),
        "NODE_RANK": "0",
        "OMP_NUM_THREADS": "1",
    }
    import torch

    torch.set_num_threads(1)
    Path(folder, str(rank)).write_bytes(pickle.dumps(function(rank, *arguments)))


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        return found.getsockname()[1]


def _reason(error: Exception) -> str:
    """The last line of a traceback, or how the process ended."""
    last = str(error).strip().splitlines()[-1]
    return re.sub(r"^bench(\.\w+)+: ", "", last)
