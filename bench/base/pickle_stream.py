"""Reads a pickle of image files one after the other: for lists that memory would not hold.

Nothing that the pickle says is done: its instructions are listed by the standard library's
``pickletools``, and what an image file consists of is handed out as it comes by.
"""

import pickletools
from collections.abc import Iterator
from typing import Any, BinaryIO

from bench.base import safe_pickle
from bench.base.errors import BenchError

SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")  # PNG, JPEG
MOST_BYTES_OF_AN_IMAGE = 2**26
# what a list of byte arrays has to name beside the constructors that may be named anyway
_WORDS = {"b", "u1", "|", "C", "latin1", *(w for pair in safe_pickle.ALLOWED for w in pair)}
_WORDS = {word.encode() for word in _WORDS}
_REFUSED = {"INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4"}


class _Bounded:
    """A file of which no instruction takes more than an image may have."""

    def __init__(self, file: BinaryIO):
        self.file = file

    def read(self, size: int) -> bytes:
        if size > MOST_BYTES_OF_AN_IMAGE:
            raise ValueError(f"a part of {size:,} bytes")
        return self.file.read(size)

    def readline(self) -> bytes:
        return self.file.readline(MOST_BYTES_OF_AN_IMAGE)


def image_files(file: BinaryIO, where: object) -> Iterator[bytes]:
    """The image files in a pickle of a list of byte arrays, from Python 2 or 3.

    Args:
        file: the pickle, read once from its beginning to its end.
        where: the file, for messages.

    Raises:
        BenchError: if it is damaged, or holds something else.
    """
    instructions = pickletools.genops(_Bounded(file))
    while True:
        try:
            instruction, argument, _ = next(instructions)
        except StopIteration:
            return
        except (ValueError, OverflowError, MemoryError) as error:
            raise BenchError(f"{where}: not a whole pickle ({error}): get it again") from error
        if instruction.name in _REFUSED:
            raise _strange(where, f"the instruction {instruction.name}")
        content = _content(argument)
        if content is None:
            continue
        if content.startswith(SIGNATURES):
            yield content
        elif not _WORDS.issuperset(content.split(b" ")):
            raise _strange(where, f"{argument!r:.60}")


def _content(argument: Any) -> bytes | None:
    """An instruction's text or bytes; texts of Python 2 are taken as latin-1."""
    if isinstance(argument, str):
        return argument.encode("latin1", "replace")
    return bytes(argument) if isinstance(argument, bytes | bytearray) else None


def _strange(where: object, what: str) -> BenchError:
    return BenchError(
        f"{where}: this pickle has {what}, and only image files (PNG, JPEG) as arrays of bytes are "
        "read from it: nothing in it was run; do not trust it"
    )
