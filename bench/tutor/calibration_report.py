"""``maml-bench check-tutor``: a record of what came out, and one table of all records."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from bench.base import regular_files
from bench.base.errors import BenchError
from bench.base.paths import write_text
from bench.results import tables
from bench.results.provenance import provenance
from bench.tutor.calibration import SETTINGS, Count, Figures

SCHEMA = 1
SURE = SETTINGS.certainty
HEADINGS = {
    "held": f"Intervals hold ({2 * SURE - 1:.0%})",
    "mastered": f"Mastered, right ({SURE:.0%})",
    "not_mastered": f"Not mastered, right ({SURE:.0%})",
    "decided": "Decided",
    "without_right": "Mastered with 0 right",
}
NOTE = (
    "In brackets what they should be, or more. Over students and skills; of a model of one ability "
    "over students, with all questions for a skill."
)


def record(found: Sequence[tuple[str, int, Figures]], asked: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a measurement.

    Args:
        found: from :func:`bench.tutor.calibration.measure`.
        asked: its arguments: ``students``, ``skills``, ``correlation`` and ``dimensions``.
    """
    rows = [
        {"model": name, "answers": count}
        | {key: value._asdict() for key, value in figures._asdict().items()}
        for name, count, figures in found
    ]
    kept = {"schema": SCHEMA, "synthetic": True, "asked": asked, "rows": rows}
    return kept | {"provenance": provenance()}


def write(kept: dict[str, Any], out: Path) -> list[Path]:
    """Writes the record, and the table of all of them, into ``out/tutoring``."""
    folder = Path(out) / "tutoring"
    name = "-".join(f"{word}{value}" for word, value in kept["asked"].items() if value is not None)
    path, table = folder / f"check-{name}.json", folder / "check.md"
    write_text(path, json.dumps(kept, indent=1, allow_nan=False) + "\n")
    write_text(table, markdown(read_all(out)) + "\n")
    return [path, table]


def read_all(out: Path) -> list[dict[str, Any]]:
    """All records in a results folder, in the order of what was asked.

    Raises:
        BenchError: names the file that is no such record.
    """
    found = []
    for path in Path(out).glob("tutoring/check-*.json"):
        try:
            kept = json.loads(regular_files.read_text(path))
            rows_of(kept)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BenchError(f"{path}: is no record of check-tutor ({error}): delete it") from None
        found.append(kept)
    return sorted(found, key=lambda kept: json.dumps(kept["asked"]))


def rows_of(kept: dict[str, Any]) -> list[dict[str, str]]:
    """The rows of a record in words."""
    dimensions = kept["asked"]["dimensions"]
    of_model = f", {dimensions} dimensions" if dimensions else ""
    return [
        {"Model": row["model"] + of_model, "Answers": str(row["answers"])}
        | {words: str(Count(**row[key])) for key, words in HEADINGS.items()}
        for row in kept["rows"]
    ]


def markdown(records: Sequence[dict[str, Any]]) -> str:
    """One table of all records."""
    rows = [
        {"Students": str(kept["asked"]["students"]), "Skills": str(kept["asked"]["skills"])}
        | {"Correlation": str(kept["asked"]["correlation"])}
        | row
        for kept in records
        for row in rows_of(kept)
    ]
    return tables.narrow(tables.markdown(pd.DataFrame(rows))) + f"\n\n{NOTE}"


def show(kept: dict[str, Any], console: Console) -> None:
    """Prints one record, a line for each model and number of answers."""
    tables.print_frame(pd.DataFrame(rows_of(kept)), "", console)
    console.print(NOTE, style="dim")
