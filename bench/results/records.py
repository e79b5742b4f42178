"""One finished run is one JSON file: written whole or not at all, and checked when read back.

A record is a plain dict, with the fields of :class:`bench.results.schema.Record`. Files are data
from elsewhere: nothing in them is executed, and names that become paths or reach a terminal are
checked.
"""

import json
import math
from pathlib import Path
from typing import Any

import msgspec

from bench.base import regular_files
from bench.base.errors import BenchError
from bench.base.paths import write_text
from bench.results import schema
from bench.results.checking import check
from bench.results.run_files import RunFiles


def write(path: Path, record: dict[str, Any]) -> None:
    """Checks a record and writes it; a file that is there is a finished run.

    Raises:
        BenchError: if the record is not whole, or the folder cannot be written to.
    """
    record = _plain(record)
    check(record, path)
    rounded = {k: v if k in ("experiment", "schema") else _rounded(v) for k, v in record.items()}
    write_text(path, as_text(rounded) + "\n")


def read(path: Path) -> dict[str, Any]:
    """Reads a record and checks it. What was NaN is None.

    Raises:
        BenchError: names the file and the field that is wrong.
    """
    try:
        record = msgspec.json.decode(regular_files.read_bytes(path))
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise BenchError(
            f"{path} is not a JSON file ({error}): name a record; or, if this one is "
            "broken, delete it and run again"
        ) from None
    version = record.get("schema") if isinstance(record, dict) else None
    if type(version) is int and version != schema.VERSION:
        raise BenchError(
            f"{path}: schema is {version}; this version reads {schema.VERSION}: use another "
            "version of maml-bench, or delete the file and run again"
        )
    try:
        check(record, path)
    except BenchError as error:
        raise BenchError(f"{error}: get a whole copy, or delete it and run again") from None
    return record


def read_all(out: Path, suite: str | None = None) -> list[dict[str, Any]]:
    """All records under ``out/runs``, or those of one suite, in the order of their paths.

    Raises:
        BenchError: if a record is broken, or does not lie where its content says.
    """
    records = []
    for path in sorted(Path(out).glob(f"runs/{suite or '*'}/*.json")):
        record = read(path)
        expected = RunFiles.locate(out, record["experiment"]).record
        if expected != path:
            raise BenchError(
                f"{path}: experiment.suite and experiment.key say that this file belongs at "
                f"{expected}: move it there"
            )
        records.append(record)
    return records


# Formatting -------------------------------------------------------------------------------------


def _plain(value):
    """Tuples to lists, numpy's arrays and numbers to Python's, what is not finite to None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _rounded(value):
    """Seven significant digits are more than a float32 result has."""
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def as_text(value, indent: str = "") -> str:
    """JSON with sorted keys and each list on one line, so that a diff stays readable."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value, sort_keys=True, allow_nan=False)
    deeper = indent + "  "
    lines = [f"{deeper}{json.dumps(k)}: {as_text(value[k], deeper)}" for k in sorted(value)]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
