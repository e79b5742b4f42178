"""What data is told apart by: a few digits that change when anything in it does."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from bench.base import regular_files

DIGITS = 16
_WHOLE = "sha256:"


def digest(parts: Iterable[bytes | np.ndarray]) -> str:
    """The beginning of a SHA-256 of bytes and of arrays: their types, shapes and values."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            found.update(f"{part.dtype.str} {part.shape}".encode())
            part = np.ascontiguousarray(part).tobytes()
        found.update(part)
    return found.hexdigest()[:DIGITS]


def of_content(content: bytes) -> str:
    """What a file is known by in records, ``sha256:...``.

    >>> of_content(b"")[:16]
    'sha256:e3b0c4429'
    """
    return f"{_WHOLE}{hashlib.sha256(content).hexdigest()}"


def of_file(path: Path) -> str:
    """The same of a regular file, however large.

    Raises:
        OSError: if it cannot be read.
    """
    with regular_files.open_to_read(path) as file:
        return f"{_WHOLE}{hashlib.file_digest(file, 'sha256').hexdigest()}"


def is_checksum(text: object) -> bool:
    """Whether it stands for a file, and is not its name.

    >>> is_checksum(of_content(b"")), is_checksum("weights.pt")
    (True, False)
    """
    return re.fullmatch(f"{_WHOLE}[0-9a-f]{{64}}", str(text)) is not None
