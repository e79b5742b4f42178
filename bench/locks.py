"""A run is done by one process at a time, however many work on one folder.

The lock is the operating system's (``flock``): it ends with the process that holds it, however that
ends, so a kill leaves nothing to clean up. Between machines it holds where the file system passes
locks on, as NFS does from version 4; where it does not, two machines may do the same run, and the
later record, which is the same, replaces the earlier.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            yield file.read(200).strip() or "another process"
            return
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield None
