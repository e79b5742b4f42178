"""The files of what was measured: written whole, and read by what shows them."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.base import paths, regular_files
from bench.base.errors import BenchError


def write(path: Path, record: dict) -> Path:
    """Writes a record."""
    paths.write_text(path, json.dumps(record, indent=1) + "\n")
    return path


def read_all(files: Iterable[Path], show: Callable[[dict], object], command: str) -> list[dict]:
    """Records that can be shown.

    Args:
        files: theirs.
        show: reads every field that is ever shown, and fails where one is missing or strange.
        command: which writes such files.

    Raises:
        BenchError: names a file that is no such record.
    """
    found = []
    for path in files:
        try:
            record = json.loads(regular_files.read_text(path))
            show(record)
        except Exception as error:  # whatever strange contents lead to
            reason = f"{type(error).__name__}: {error}"
            raise BenchError(f"{path}: not a record of {command} ({reason})") from None
        found.append(record)
    return found
