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

from bench.errors import BenchError

_KIND = re.compile("[<>|=]?[biufSU][0-9]+|[<>|=]?[?]")


class _Refused(Exception):
    pass


class _Dtype:
    """What a pickle says of a dtype."""

    def __init__(self, code: Any, *_):
        code = code.decode() if isinstance(code, bytes) else code
        if not isinstance(code, str) or not _KIND.fullmatch(code):
            raise _Refused(f"an array of {code!r}")
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
    if not all(isinstance(n, int) and n >= 0 for n in shape):
        raise _Refused(f"an array of shape {shape!r}")
    flat = np.frombuffer(content, dtype.dtype)
    if flat.size != math.prod(shape):
        raise _Refused(f"an array of shape {shape!r} with {flat.size} values")
    return flat.reshape(shape, order=order)


def _from_buffer(content: Any, dtype: Any, shape: Any, order: str) -> _Array:
    array = _Array()
    array.value = _array(content, dtype, shape, order)
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


_ALLOWED = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("_codecs", "encode"): _encode,
    ("builtins", "bytes"): _bytes,
    ("__builtin__", "bytes"): _bytes,
}
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _Array
    _ALLOWED[f"{_core}.multiarray", "scalar"] = _scalar
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = _from_buffer


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
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
        return _resolved(_Unpickler(io.BytesIO(content), encoding="latin1").load())
    except _Refused as error:
        raise BenchError(
            f"{where}: this pickle wants {error}, and only arrays, lists, dicts, texts and numbers "
            "are read from pickles: nothing in it was run; do not trust it"
        ) from error
    except Exception as error:  # a damaged pickle may raise anything, but runs nothing
        raise BenchError(f"{where}: not a whole pickle ({error}): get it again") from error


def _resolved(value: Any, depth: int = 0) -> Any:
    """Puts the arrays in the place of their stand-ins."""
    if depth > 20:
        raise _Refused("lists in lists in lists")
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, list | tuple):
        if any(isinstance(item, list | tuple | dict | _Array | _Dtype) for item in value):
            return type(value)(_resolved(item, depth + 1) for item in value)
        return value
    if isinstance(value, dict):
        return {_resolved(k, depth + 1): _resolved(v, depth + 1) for k, v in value.items()}
    if value is None or isinstance(value, str | bytes | bytearray | int | float | set | frozenset):
        return value
    raise _Refused(f"a {type(value).__name__.strip('_').lower()}")
