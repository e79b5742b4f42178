import struct

import pytest

from bench.base import tfrecords
from bench.base.errors import BenchError


def test_records_come_back():
    records = [b"", b"abc", bytes(range(256)) * 100]
    content = b"".join(tfrecords.written(records))
    assert list(tfrecords.read(content, "file")) == records


def test_the_checksum_is_the_masked_castagnoli():
    # CRC-32C of "123456789" is 0xe3069283 (RFC 3720, B.4, and its usual check value)
    masked = (((0xE3069283 >> 15) | (0xE3069283 << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    assert b"".join(tfrecords.written([b"123456789"]))[-4:] == struct.pack("<I", masked)


@pytest.mark.parametrize("place", [0, 9, 12, 14, 16, 20, 40])
def test_every_damaged_bit_is_seen(place):
    content = bytearray(b"".join(tfrecords.written([b"abcd", b"x" * 30])))
    content[place] ^= 4
    with pytest.raises(BenchError, match=r"^file: .*at byte (0|20)"):
        list(tfrecords.read(bytes(content), "file"))


@pytest.mark.parametrize("length", [1, 11, 13, 19])
def test_a_file_that_is_cut_off(length):
    content = b"".join(tfrecords.written([b"abcd"]))[:length]
    with pytest.raises(BenchError, match="^file: "):
        list(tfrecords.read(content, "file"))


def test_examples_come_back():
    given = {"image": [b"\xff\xd8", b""], "label": [3, 300, 2**40]}
    assert tfrecords.features(tfrecords.example(given), "file") == given


def test_an_example_as_its_protocol_buffer_is_written():
    # Example(features={label: int64_list [5]}), its fields by hand
    content = b"\n\x10\n\x0e\n\x05label\x12\x05\x1a\x03\n\x01\x05"
    assert tfrecords.features(content, "file") == {"label": [5]}
    assert tfrecords.example({"label": [5]}) == content


@pytest.mark.parametrize("content", [b"\n\x10\n", b"\x0f", b"\n\x02\n\x00", b"abc", b"\xff" * 20])
def test_no_example(content):
    with pytest.raises(BenchError, match="^file: a record that is no tf.train.Example"):
        tfrecords.features(content, "file")
