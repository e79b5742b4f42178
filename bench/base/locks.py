"""A run is done by one process at a time, however many work on one folder.

The lock is the operating system's (``flock``): it ends with the process that holds it, however that
ends, so a kill leaves nothing to clean up. Between machines it holds where the file system passes
locks on, as NFS does from version 4; where it does not, two commands given at once may do the same
run, and the later record, which is the same, replaces the earlier. One command hands out each run
once, on any file system.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bench.base.errors import BenchError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextmanager
def held(path: Path) -> Iterator[str | None]:
    """Takes a lock for as long as the context lasts, if it is free.

    Args:
        path: the file; it stays where it is.

    Yields:
        None if the lock was taken, otherwise who holds it.

    Raises:
        BenchError: if the file cannot be written.
    """
    with _opened(path) as file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield owner(path)
            return
        except OSError:  # a file system without locks
            pass
        with _refusal_named(path):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield None


def _opened(path: Path) -> BinaryIO:
    with _refusal_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab", buffering=0)


@contextmanager
def _refusal_named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BenchError(
            f"{path}: cannot be written ({error.strerror}): make room, or choose another folder"
        ) from error


def taken(path: Path) -> int:
    """When a lock was last taken, in nanoseconds of the file system's own time; 0 if never."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def owner(path: Path) -> str:
    """Who took a lock last."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:200] or "another process"
    except OSError:
        return "another process"
