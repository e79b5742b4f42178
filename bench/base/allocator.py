"""Keeps freed memory for the next meta-iteration instead of giving it back to the system."""

import ctypes
import sys

# parameters of mallopt(3), and values: no block is mapped by itself, nothing is trimmed
SETTINGS = {"M_MMAP_THRESHOLD": (-3, 2**30), "M_TRIM_THRESHOLD": (-1, 2**31 - 1),
            "M_TOP_PAD": (-2, 64 * 2**20)}  # fmt: skip

_in_use = "default"


def keep_memory() -> str:
    """Tells glibc to keep what is freed; elsewhere nothing happens.

    Every meta-iteration allocates and frees hundreds of MB. By default glibc returns large blocks
    to the system at once and has them zeroed page by page when they are asked for again.

    Returns:
        What was set, in words, for records.
    """
    global _in_use
    mallopt = c_function("mallopt")
    if mallopt is not None and all(mallopt(*setting) for setting in SETTINGS.values()):
        _in_use = "glibc, " + ", ".join(f"{n}={value}" for n, (_, value) in SETTINGS.items())
    return _in_use


def in_use() -> str:
    """What :func:`keep_memory` has set in this process, or ``"default"``."""
    return _in_use


def c_function(name: str):
    """A function of the C library, None where it has none of that name (only glibc has these)."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), name, None)
