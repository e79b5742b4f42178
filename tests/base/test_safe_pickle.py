import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from bench.base import pickle_memo, safe_pickle
from bench.base.errors import BenchError


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_containers_come_back(protocol):
    value = {
        "data": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        "channels first": np.arange(24, dtype=np.uint8).reshape(2, 3, 4).transpose(1, 2, 0),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">i4"),
        "names": np.array(["a", "bc"]),
        "labels": [1, 2.5, "x", None, True, b"bytes", b""],
        "class": {b"n01": [0, 1], ("a", 1): (2, 3)},
        "scalar": np.int64(7),
    }
    read = safe_pickle.load(pickle.dumps(value, protocol=protocol), "file")
    for key in ("data", "channels first", "columns", "big", "names"):
        assert read[key].dtype == value[key].dtype
        assert np.array_equal(read[key], value[key])
    assert read["labels"] == value["labels"]
    assert read["class"] == value["class"]
    assert read["scalar"] == 7


class Transposed:
    """As NumPy 2.4 pickles an array whose axes are in another order in memory."""

    def __init__(self, axes, order="K"):
        self.axes, self.order = axes, order

    def __reduce__(self):
        content = np.arange(6, dtype=np.uint8).tobytes()
        from_buffer = np.zeros(1).__reduce_ex__(5)[0]  # NumPy's own
        return from_buffer, (content, np.dtype(np.uint8), (1, 2, 3), self.order, self.axes)


def test_arrays_of_axes_in_another_order():
    value = safe_pickle.load(pickle.dumps(Transposed((2, 0, 1))), "file")
    assert np.array_equal(value, np.arange(6).reshape(1, 2, 3).transpose(2, 0, 1))
    value = safe_pickle.load(pickle.dumps(Transposed(None, "F")), "file")
    assert np.array_equal(value, np.arange(6).reshape(1, 2, 3, order="F"))


@pytest.mark.parametrize(
    "axes", [None, (), (0, 1), (0, 1, 2, 3), (0, 1, 1), (0, 1, 3), (0, 1, -1), 3, "012", ("a", 1)]
)
def test_axes_that_an_array_lacks(axes):
    with pytest.raises(BenchError, match="^file: "):
        safe_pickle.load(pickle.dumps(Transposed(axes)), "file")


def test_what_python_2_wrote():
    # pickle.dumps({'image_data': numpy.arange(2, dtype='uint8')}, 2) of Python 2 with NumPy 1
    content = (
        b"\x80\x02}q\x01U\nimage_dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray"
        b"\nq\x04K\x00\x85q\x05U\x01bq\x06\x87q\x07Rq\x08(K\x01K\x02\x85q\tcnumpy\ndtype\nq\n"
        b"U\x02u1q\x0bK\x00K\x01\x87q\x0cRq\r(K\x03U\x01|q\x0eNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\x00tq\x0fb\x89U\x02\x00\x01q\x10tq\x11bs."
    )
    assert safe_pickle.load(content, "file")["image_data"].tolist() == [0, 1]


def test_what_python_2_wrote_as_text():
    # pickle.dumps(numpy.array([0, 255], 'uint8'), 0) of Python 2
    content = (
        b"cnumpy.core.multiarray\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\nS'b'\np3\n"
        b"tp4\nRp5\n(I1\n(I2\ntp6\ncnumpy\ndtype\np7\n(S'u1'\np8\nI0\nI1\ntp9\nRp10\n"
        b"(I3\nS'|'\np11\nNNNI-1\nI-1\nI0\ntp12\nbI00\nS'\\x00\\xff'\np13\ntp14\nb."
    )
    assert safe_pickle.load(content, "file").tolist() == [0, 255]


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02Nr" + struct.pack("<I", 2_000_000) + b".",
        b"\x80\x02Nr" + struct.pack("<I", 2**32 - 1) + b".",
        b"Np2000000\n.",
        b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b".",
    ],
)
def test_a_few_bytes_cannot_ask_for_all_memory(content):
    tracemalloc.start()
    with pytest.raises(BenchError, match="^file: not a whole pickle .*: get it again"):
        safe_pickle.load(content, "file")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("protocol", range(6))
def test_a_large_array_is_not_copied_more_often(protocol):
    content = pickle.dumps(np.zeros(10**7, np.uint8), protocol)
    tracemalloc.start()
    pickle_memo.check(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**5


@pytest.mark.parametrize("protocol", range(6))
def test_wherever_a_pickle_is_cut_off_it_is_not_whole(protocol):
    content = pickle.dumps(
        {"data": np.zeros(3, np.uint8), "names": ["a", 1, 2.5, 10**30]}, protocol
    )
    pickle_memo.check(content)
    for end in range(len(content)):
        with pytest.raises(BenchError, match="^file: not a whole pickle"):
            safe_pickle.load(content[:end], "file")


@pytest.mark.parametrize("number", range(24))
def test_whatever_a_pickle_wants_nothing_runs(number, attacks, tmp_path):
    assert len(attacks) == 24
    name, content = attacks[number]
    with pytest.raises(BenchError, match="^file: ") as error:
        safe_pickle.load(content, "file")
    assert not list(tmp_path.iterdir()), name
    assert "\n" not in str(error.value)


def test_the_payloads_are_real(attacks, tmp_path):
    pickle.loads(attacks[0][1])
    assert (tmp_path / "mark").exists()
