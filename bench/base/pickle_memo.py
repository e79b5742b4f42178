"""Looks through a pickle before it is read, so that a few bytes cannot ask for all memory.

The unpickler keeps objects in numbered places, and makes room up to the highest number that a
pickle says. An honest one numbers its objects as they come.
"""

import pickletools
from collections.abc import Iterator

_ARGUMENTS = {ord(one.code): one.arg for one in pickletools.opcodes}
_LENGTHS = {  # bytes of the number that says how long an argument is
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_PUT, _BINPUT, _LONG_BINPUT, _STOP = b"pqr."


def check(content: bytes) -> None:
    """Makes sure that no object has a higher number than there are instructions before it.

    Nothing is copied out of the pickle, however large it is.

    Raises:
        ValueError: if one has, or the pickle is not whole.
    """
    for count, (code, start, end) in enumerate(_instructions(content)):
        if code in (_BINPUT, _LONG_BINPUT):
            place = int.from_bytes(content[start:end], "little")
        elif code == _PUT:
            place = int(content[start:end])
        else:
            continue
        if place > count:
            raise ValueError(f"object {place:,} after {count:,} instructions")


def _instructions(content: bytes) -> Iterator[tuple[int, int, int]]:
    """The code of each instruction, and where its argument begins and ends."""
    code = end = 0
    while code != _STOP:
        if end >= len(content) or (code := content[end]) not in _ARGUMENTS:
            raise ValueError(f"no instruction at byte {end:,}")
        start = end + 1
        end = _end(content, start, _ARGUMENTS[code])
        if end > len(content):
            raise ValueError(f"the instruction at byte {start - 1:,} is cut off")
        yield code, start, end


def _end(content: bytes, start: int, argument: pickletools.ArgumentDescriptor | None) -> int:
    if argument is None:
        return start
    if argument.n >= 0:
        return start + argument.n
    if argument.n == pickletools.UP_TO_NEWLINE:
        for _ in range(2 if argument.name == "stringnl_noescape_pair" else 1):
            start = content.index(b"\n", start) + 1
        return start
    first = start + _LENGTHS[argument.n]
    length = int.from_bytes(content[start:first], "little")  # a negative one is then too long
    return first + length
