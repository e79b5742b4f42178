"""Where a result comes from: versions, commit and device; no host, no user, no path."""

import datetime
import functools
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import bench
from bench.base import allocator


def provenance(device: str | None = None, data: str | None = None) -> dict:
    """Of what this process makes.

    Args:
        device: what the run was trained on; None: this machine's processor.
        data: the checksum of the data that it was trained on; None: it was drawn by a program.
    """
    commit, dirty = _checkout()
    torch = sys.modules.get("torch")  # not imported for this alone
    return {
        "bench": bench.__version__,
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "torch": _version("torch"),
        "lightning": _version("lightning"),
        "device": device or processor(),
        "allocator": allocator.in_use(),
        "threads": torch.get_num_threads() if torch else os.cpu_count(),
        "data": data,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache  # the code that runs is the code that was there when it started
def _checkout() -> tuple[str | None, bool | None]:
    """Commit of the package's own checkout, and whether what decides a result was changed."""
    folder = Path(bench.__file__).resolve().parent.parent
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        options = {"capture_output": True, "text": True, "env": environment, "timeout": 20}
        return subprocess.run(command, check=True, **options).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != folder:
            return None, None  # installed somewhere inside another project's checkout
        changed = git("status", "--porcelain", "--", "bench", "datasets", "pyproject.toml")
        return git("rev-parse", "HEAD"), bool(changed)
    except (OSError, subprocess.SubprocessError):
        return None, None


def processor() -> str:
    """The name of this machine's processor."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return (found.group(1) if found else platform.processor() or platform.machine()).strip()
