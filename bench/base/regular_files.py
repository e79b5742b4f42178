"""Reads files from elsewhere: regular ones alone, and no more of them than is sensible.

An ordinary ``open`` waits for ever where a name is that of a FIFO, and reads without end where it
is a link to a device such as ``/dev/zero``. Here both are an ``OSError`` like any other, at once.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

MOST_BYTES = 2**28  # of a file that is read into memory whole, unless more is expected

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def check(path: str | os.PathLike) -> os.stat_result:
    """What the system says of a file, if it is a regular one; links are followed.

    Raises:
        OSError: if it is not there, or something else than a file.
    """
    found = Path(path).stat()
    _check(found, path)
    return found


def open_to_read(path: str | os.PathLike) -> BinaryIO:
    """Opens a regular file, without waiting for anything.

    Raises:
        OSError: if it cannot be read, or is something else than a file.
    """
    check(path)  # before it is opened, upon which a tape would wind
    file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115
    try:
        _check(os.fstat(file.fileno()), path)  # it may have become something else since
    except BaseException:
        file.close()
        raise
    return file


def read_bytes(path: str | os.PathLike, most: int = MOST_BYTES) -> bytes:
    """The content of a regular file.

    Args:
        path: the file.
        most: bytes that it may have.

    Raises:
        OSError: if it cannot be read, is something else than a file, or too large.
    """
    with open_to_read(path) as file:
        size = os.fstat(file.fileno()).st_size  # some files of the system say that they are empty
        parts, read = [], 0
        while size <= most and (part := file.read(max(size + 1, 2**16))):
            parts.append(part)
            read += len(part)
            size = max(size, read)
    if size > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return b"".join(parts)


def read_text(path: str | os.PathLike, most: int = MOST_BYTES) -> str:
    """The text of a regular file in UTF-8, line ends as they are.

    Raises:
        OSError: as :func:`read_bytes`.
        UnicodeDecodeError: if it is not in UTF-8.
    """
    return read_bytes(path, most).decode("utf-8")


def _check(found: os.stat_result, path: str | os.PathLike) -> None:
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if kind != stat.S_IFREG:
        what = _KINDS.get(kind, "something else")
        raise OSError(errno.EINVAL, f"it is {what}, not a regular file", str(path))


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # Windows has no FIFO to wait for
