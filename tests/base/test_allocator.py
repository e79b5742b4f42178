"""What the command line tells the C library."""

import subprocess
import sys

import pytest

from bench.base import allocator
from bench.results.provenance import provenance

SCRIPT = """
from bench.base import allocator
from bench.results.provenance import provenance
before = provenance()["allocator"]
said = allocator.keep_memory()
assert said == provenance()["allocator"] == allocator.in_use()
print(before, "->", said)
"""


@pytest.mark.skipif(allocator.c_function("mallopt") is None, reason="only glibc has mallopt")
def test_what_is_set_is_recorded():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.stdout.startswith("default -> glibc, M_MMAP_THRESHOLD=1073741824"), done.stderr


def test_nothing_is_set_where_there_is_no_glibc(monkeypatch):
    monkeypatch.setattr(allocator, "c_function", lambda name: None)
    monkeypatch.setattr(allocator, "_in_use", "default")
    assert allocator.keep_memory() == "default" == provenance()["allocator"]
