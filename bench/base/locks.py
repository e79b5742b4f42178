"""A run is done by one process at a time, however many work on one folder.

The lock is the operating system's, taken through ``filelock``: it ends with the process that holds
it, however that ends, so a kill leaves nothing to clean up. Between machines it holds where the
file system passes locks on, as NFS does from version 4; where it does not, two commands given at
once may do the same run, and the later record, which is the same, replaces the earlier. One command
hands out each run once, on any file system.
"""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bench.base.errors import BenchError
from bench.base.paths import explain_refusal

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}  # of a file system


@contextmanager
def held(path: Path) -> Iterator[str | None]:
    """Takes a lock for as long as the context lasts, if it is free.

    Args:
        path: the file; it stays where it is.

    Yields:
        None if the lock was taken, otherwise who holds it.

    Raises:
        BenchError: if the file cannot be written, or is none, such as a symbolic link.
    """
    lock = FileLock(path, blocking=False, preserve_lock_file=True, on_acquired=_sign)
    with explain_refusal(path, "make room, or choose another folder"):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():  # filelock refuses it too, in words that say less
            raise BenchError(f"{path}: is a symbolic link, and locks do not follow one: delete it")
        try:
            lock.acquire()
            holder = None
        except Timeout:
            holder = owner(path)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            holder = None
    try:
        yield holder
    finally:
        lock.release()


def _sign(descriptor: int) -> None:
    """Writes who holds the lock, behind a first byte that nobody else can read on Windows."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, "not a plain file")
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"\nprocess {os.getpid()} on {socket.gethostname()}".encode())


def taken(path: Path) -> int:
    """When a lock was last taken, in nanoseconds of the file system's own time; 0 if never."""
    try:
        return path.lstat().st_mtime_ns
    except OSError:
        return 0


def owner(path: Path) -> str:
    """Who took a lock last."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        with open(path, "rb", buffering=0, opener=lambda name, _: os.open(name, flags)) as file:
            file.seek(1)
            return file.read(200).decode(errors="replace") or "another process"
    except OSError:
        return "another process"
