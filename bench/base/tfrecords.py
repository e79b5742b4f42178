"""TensorFlow's record files and the examples in them, read and written without TensorFlow.

A record is its length (uint64), the masked CRC-32C of these 8 bytes, the content, and the masked
CRC-32C of the content, all little-endian (tensorflow/core/lib/io/record_writer.h). The content of
Meta-Dataset's records is a protocol buffer ``tf.train.Example``.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import google_crc32c
import numpy as np

from bench.base.errors import BenchError

Values = list[bytes] | list[int]


def read(content: bytes, where: object) -> Iterator[bytes]:
    """The records of a file.

    Args:
        content: the file's.
        where: the file, for messages.

    Raises:
        BenchError: names file and byte, where a record is cut off or does not fit its checksum.
    """
    start = 0
    while start < len(content):
        header = content[start : start + 12]
        length = int.from_bytes(header[:8], "little")
        end = start + 12 + length + 4
        if len(header) < 12 or _masked(header[:8]) != header[8:]:
            raise BenchError(f"{where}: no record at byte {start:,}: get the file again")
        body, check = content[start + 12 : end - 4], content[end - 4 : end]
        if _masked(body) != check:
            raise BenchError(f"{where}: the record at byte {start:,} is damaged: get it again")
        yield body
        start = end


def places(file: BinaryIO, where: object) -> np.ndarray:
    """Where each record of a file begins, and where the last one ends: ``[records + 1]`` int64.

    Only the lengths are read; a record's content is checked when it is read itself.

    Args:
        file: open for reading.
        where: the file, for messages.

    Raises:
        BenchError: names file and byte, where a length does not fit its checksum, or the file ends
            within a record.
    """
    size, start, found = file.seek(0, os.SEEK_END), 0, [0]
    while start < size:
        file.seek(start)
        header = file.read(12)
        if len(header) < 12 or _masked(header[:8]) != header[8:]:
            raise BenchError(f"{where}: no record at byte {start:,}: get the file again")
        start += 12 + int.from_bytes(header[:8], "little") + 4
        found.append(start)
    if start > size:
        raise BenchError(f"{where}: the last record is cut off: get the file again")
    return np.array(found, np.int64)


def written(records: Iterable[bytes]) -> Iterator[bytes]:
    """Each record as it stands in a file."""
    for body in records:
        length = struct.pack("<Q", len(body))
        yield b"".join((length, _masked(length), body, _masked(body)))


def example(features: dict[str, Values]) -> bytes:
    """A ``tf.train.Example`` with these features, each a list of bytes or of integers >= 0."""
    entries = b""
    for name, values in features.items():
        if isinstance(values[0], bytes):
            feature = _field(1, b"".join(_field(1, value) for value in values))
        else:
            feature = _field(3, _field(1, b"".join(map(_varint, values))))
        entries += _field(1, _field(1, name.encode()) + _field(2, feature))
    return _field(1, entries)


def features(record: bytes, where: object) -> dict[str, Values]:
    """The features of a ``tf.train.Example``; those of floats are left out.

    Raises:
        BenchError: names the file, if the record is none.
    """
    found = {}
    try:
        for _, everything in _fields(record):
            for _, entry in _fields(everything):
                pair = dict(_fields(entry))
                for kind, values in _fields(pair[2]):
                    if kind == 1:
                        found[pair[1].decode()] = [value for _, value in _fields(values)]
                    elif kind == 3:
                        found[pair[1].decode()] = _integers(values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BenchError(f"{where}: a record that is no tf.train.Example") from error
    return found


def image(record: bytes, where: object) -> bytes:
    """The image file in a record of Meta-Dataset.

    Raises:
        BenchError: names the record, if there is none.
    """
    match features(record, where).get("image"):
        case [bytes(picture), *_]:
            return picture
    raise BenchError(f"{where}: has no image")


def _masked(content: bytes) -> bytes:
    crc = google_crc32c.value(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _integers(values: bytes) -> list[int]:
    found = []
    for _, value in _fields(values):
        if isinstance(value, int):  # not packed
            found.append(value)
            continue
        start = 0
        while start < len(value):
            number, start = _varint_at(value, start)
            found.append(number)
    return found


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Field number and value of each field of a protocol buffer; fixed-width ones are left out."""
    start = 0
    while start < len(message):
        key, start = _varint_at(message, start)
        kind = key & 7
        if kind == 0:
            value, start = _varint_at(message, start)
        elif kind == 2:
            length, start = _varint_at(message, start)
            if start + length > len(message):
                raise ValueError("a field is cut off")
            value, start = message[start : start + length], start + length
        elif kind in (1, 5):
            start += 8 if kind == 1 else 4
            if start > len(message):
                raise ValueError("a number is cut off")
            continue
        else:
            raise ValueError("unknown kind of field")
        yield key >> 3, value


def _varint_at(message: bytes, start: int) -> tuple[int, int]:
    number = 0
    for place in range(10):
        if start + place >= len(message):
            break
        byte = message[start + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, start + place + 1
    raise ValueError("an integer is cut off")


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])
