import pickle

import numpy as np
import pytest

from bench.errors import BenchError
from bench.images import safe_pickle


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_containers_come_back(protocol):
    value = {
        "data": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">i4"),
        "names": np.array(["a", "bc"]),
        "labels": [1, 2.5, "x", None, True, b"bytes", b""],
        "class": {b"n01": [0, 1], ("a", 1): (2, 3)},
        "scalar": np.int64(7),
    }
    read = safe_pickle.load(pickle.dumps(value, protocol=protocol), "file")
    for key in ("data", "columns", "big", "names"):
        assert read[key].dtype == value[key].dtype
        assert np.array_equal(read[key], value[key])
    assert read["labels"] == value["labels"]
    assert read["class"] == value["class"]
    assert read["scalar"] == 7


def test_what_python_2_wrote():
    # pickle.dumps({'image_data': numpy.arange(2, dtype='uint8')}, 2) of Python 2 with NumPy 1
    content = (
        b"\x80\x02}q\x01U\nimage_dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray"
        b"\nq\x04K\x00\x85q\x05U\x01bq\x06\x87q\x07Rq\x08(K\x01K\x02\x85q\tcnumpy\ndtype\nq\n"
        b"U\x02u1q\x0bK\x00K\x01\x87q\x0cRq\r(K\x03U\x01|q\x0eNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\x00tq\x0fb\x89U\x02\x00\x01q\x10tq\x11bs."
    )
    assert safe_pickle.load(content, "file")["image_data"].tolist() == [0, 1]


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
