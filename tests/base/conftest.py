import builtins
import os
import pickle
import subprocess

import numpy as np
import pytest
import torch


class Calls:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.fixture
def attacks(tmp_path):
    """Pickles that want to run something, ``[(name, pickle)]``; what runs leaves a file there."""
    return list(_attacks(tmp_path / "mark"))


def _attacks(mark):
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
