import builtins
import os
import pickle
import subprocess

import numpy as np
import pytest
import torch

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


class Calls:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def attacks(mark):
    command = f"touch {mark}"
    yield "os.system", pickle.dumps(Calls(os.system, command))
    yield "eval", pickle.dumps(Calls(builtins.eval, f"open({str(mark)!r}, 'w')"))
    yield "exec", pickle.dumps(Calls(builtins.exec, f"open({str(mark)!r}, 'w')"))
    yield "open", pickle.dumps(Calls(open, str(mark), "w"))
    yield "subprocess", pickle.dumps(Calls(subprocess.Popen, ["touch", str(mark)]))
    yield "getattr", pickle.dumps(Calls(getattr, [], "append"))
    yield "in a list", pickle.dumps([1, {"a": Calls(os.system, command)}])
    yield "in a key", pickle.dumps({("a", Calls(os.system, command)): 1})
    yield "in an array", pickle.dumps(np.array([Calls(os.system, command)], dtype=object))
    yield "protocol 0", f"cos\nsystem\n(S'{command}'\ntR.".encode()
    yield (
        "stack global",
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c"
        + bytes([len(command)])
        + command.encode()
        + b"\x85R.",
    )
    yield "dotted name", b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93."
    yield "numpy's own runner", b"cnumpy.testing._private.utils\nruncython\n(S'x'\ntR."
    yield "numpy.load", f"cnumpy\nload\n(S'{mark}'\ntR.".encode()
    yield "persistent id", b"\x80\x04\x8c\x01xQ."
    yield "extension registry", b"\x80\x02\x82\x01."
    yield (
        "pointers as objects",
        (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
            b"(I1\n(I1\ntcnumpy\ndtype\n(S'O8'\nI0\nI1\ntRI0\nS'AAAAAAAA'\ntb."
        ),
    )
    yield (
        "a dtype that lies",
        (b"cnumpy\ndtype\n(S'V8'\nI0\nI1\ntR(I3\nS'|'\nN(S'a'\ntNI8\nI1\nI0\ntb."),
    )
    yield (
        "an array longer than its bytes",
        (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
            b"(I1\n(I99999\ntcnumpy\ndtype\n(S'u1'\nI0\nI1\ntRI0\nS'AA'\ntb."
        ),
    )
    laughs = []
    for _ in range(19):
        laughs = [laughs] * 10
    yield "a list that would fill the world", pickle.dumps(laughs)
    yield "in a dtype", pickle.dumps(Calls(np.dtype, laughs))
    yield "in itself", b"]\x94h\x00a."
    yield "a set", pickle.dumps({1, 2})
    yield "torch", pickle.dumps(torch.zeros(1))


@pytest.mark.parametrize("number", range(24))
def test_whatever_a_pickle_wants_nothing_runs(number, tmp_path):
    found = list(attacks(tmp_path / "mark"))
    assert len(found) == 24
    name, content = found[number]
    with pytest.raises(BenchError, match="^file: ") as error:
        safe_pickle.load(content, "file")
    assert not list(tmp_path.iterdir()), name
    assert "\n" not in str(error.value)


def test_the_payloads_are_real(tmp_path):
    _, content = next(attacks(tmp_path / "mark"))
    pickle.loads(content)
    assert (tmp_path / "mark").exists()
