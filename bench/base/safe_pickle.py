"""Reads pickles that hold arrays of numbers, lists, dicts, texts and numbers, and nothing else.

Unpickling calls whatever a pickle names, so the ordinary unpickler runs what a stranger wrote. Here
a pickle may name only NumPy's few constructors, and even these are not called: stand-ins keep what
the pickle says of an array, and it is checked before the array is made.
"""

import io
import math
import pickle
import re
from typing import Any

import numpy as np

from bench.base import pickle_memo
from bench.base.errors import BenchError

_KIND = re.compile("[<>|=]?[biufSU][0-9]+|[<>|=]?[?]")
_MOST_SHARING = 10  # values for each byte of the pickle: each takes one byte, unless it is shared


class _Refused(Exception):
    pass


class _Dtype:
    """What a pickle says of a dtype."""

    def __init__(self, code: Any, *_):
        code = code.decode() if isinstance(code, bytes) else code
        if not isinstance(code, str) or not _KIND.fullmatch(code):
            raise _Refused(
                f"an array of {code!r:.40}" if isinstance(code, str) else "a strange array"
            )
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple):
        # (version, byte order, subarray, names, fields, ...)
        if any(part is not None for part in state[2:5]):
            raise _Refused("an array of records")
        order = state[1].decode() if isinstance(state[1], bytes) else state[1]
        if order in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """What a pickle says of an array: first nothing, then its state."""

    def __init__(self, *_):
        self.value = np.zeros(0, np.uint8)

    def __setstate__(self, state: tuple):
        _, shape, dtype, fortran, content = state
        self.value = _array(content, dtype, shape, "F" if fortran else "C")


def _array(content: Any, dtype: Any, shape: Any, order: str = "C") -> np.ndarray:
    if isinstance(content, str):  # as Python 2 wrote it
        content = content.encode("latin1")
    if (
        not isinstance(content, bytes | bytearray | pickle.PickleBuffer)
        or type(dtype) is not _Dtype
    ):
        raise _Refused("an array of objects")
    if not all(isinstance(n, int) and 0 <= n <= len(content) for n in shape):
        raise _Refused("an array of another shape than its bytes")
    flat = np.frombuffer(content, dtype.dtype)
    if flat.size != math.prod(shape):
        raise _Refused("an array of another shape than its bytes")
    return flat.reshape(shape, order=order)


def _from_buffer(
    content: Any, dtype: Any, shape: Any, order: str, axis_order: Any = None
) -> _Array:
    array = _Array()
    if order != "K":
        array.value = _array(content, dtype, shape, order)
        return array
    # from NumPy 2.4 on: the axes in another order, as they lie in memory
    if not isinstance(axis_order, list | tuple) or sorted(axis_order) != [*range(len(shape))]:
        raise _Refused("an array of other axes than its shape")
    array.value = _array(content, dtype, shape).transpose(axis_order)
    return array


def _scalar(dtype: Any, content: Any) -> Any:
    return _array(content, dtype, ()).item()


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """How pickles of protocol 2 hold bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"text in {encoding!r}")
    return text.encode("latin1")


def _bytes(*given: Any) -> bytes:
    if given:
        raise _Refused("bytes made of something")
    return b""


ALLOWED = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("_codecs", "encode"): _encode,
    ("builtins", "bytes"): _bytes,
    ("__builtin__", "bytes"): _bytes,
}
for _core in ("numpy.core", "numpy._core"):
    ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _Array
    ALLOWED[f"{_core}.multiarray", "scalar"] = _scalar
    ALLOWED[f"{_core}.numeric", "_frombuffer"] = _from_buffer


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise _Refused(f"{module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused("something outside of it")


def load(content: bytes, where: object) -> Any:
    """Reads a pickle.

    Args:
        content: of the file, from Python 2 or 3; texts of Python 2 are taken as latin-1.
        where: the file, for messages.

    Returns:
        Lists, tuples, dicts, texts, bytes, numbers and arrays of them.

    Raises:
        BenchError: names the file, and what in it is refused.
    """
    try:
        pickle_memo.check(content)
        value = _Unpickler(io.BytesIO(content), encoding="latin1").load()
        value, size = _resolved(value, {})
        if size > _MOST_SHARING * len(content):
            raise _Refused(f"{size:,} values out of {len(content):,} bytes")
        return value
    except _Refused as error:
        raise BenchError(
            f"{where}: this pickle wants {error}, and only arrays, lists, dicts, texts and numbers "
            "are read from pickles: nothing in it was run; do not trust it"
        ) from error
    except Exception as error:  # a damaged pickle may raise anything, but runs nothing
        raise BenchError(f"{where}: not a whole pickle ({error}): get it again") from error


def _resolved(value: Any, done: dict[int, tuple[Any, int]], depth: int = 0) -> tuple[Any, int]:
    """Puts the arrays in the place of their stand-ins.

    Args:
        value: what was unpickled.
        done: what was found for each container, by its ``id``: one that a pickle names many times
            is gone through once, since a few bytes may stand for lists of lists without end.
        depth: how many containers it is in.

    Returns:
        The value, and how many values it would be if nothing in it was shared.
    """
    if isinstance(value, _Array):
        return value.value, 1
    if value is None or isinstance(value, str | bytes | bytearray | int | float):
        return value, 1
    if not isinstance(value, list | tuple | dict):
        raise _Refused(f"a {type(value).__name__.strip('_').lower()}")
    if depth > 20:
        raise _Refused("lists in lists in lists")
    if id(value) not in done:
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        parts = [_resolved(part, done, depth + 1) for part in parts]
        whole, size = [part for part, _ in parts], 1 + sum(size for _, size in parts)
        if isinstance(value, dict):
            whole = dict(zip(whole[: len(value)], whole[len(value) :]))
        done[id(value)] = (tuple(whole) if isinstance(value, tuple) else whole), size
    return done[id(value)]
