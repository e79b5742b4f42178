"""The table of who computes the right meta-gradient, from records alone."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from bench.checks import record_files
from bench.checks.exactness.layers import LAYERS

LONGEST = 150  # characters of what is raised
ORDERS = {2: "second", 1: "first"}
NOTE = (
    "**exact**: to rounding, which is {tolerance:g} of the gradient's norm or less; a number: how "
    "far it is off, relative to that norm, without a word; a letter: what it raises, below; -: not "
    "offered. Each is the meta-gradient over {tasks} tasks of {steps} inner steps in float64, "
    "against a plain loop. All of PyTorch ran on one version of it, {torch}. Again: the command of "
    "each record, `{command}`."
)


def label_of(record: dict) -> str:
    """Its name in tables."""
    return record["contestant"].replace("_", "-")


def version_of(record: dict) -> str:
    """Of the contestant: for this suite its own, for others their library's."""
    ours = record["contestant"].startswith("maml_bench")
    return record["provenance"]["bench"] if ours else record["version"]


def verdict(record: dict, row: dict) -> str:
    """``"exact"``, how far it is off, or what it raises."""
    if row["raises"] is not None:
        text = row["raises"].strip()
        return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"
    return "exact" if row["error"] <= record["tolerance"] else f"{row['error']:.0e}"


def markdown(records: Sequence[dict]) -> str:
    """A table an order, and below what was raised."""
    letters: dict[str, str] = {}

    def cell(record, layer, order):
        row = _row(record, layer, order)
        if row is None:
            return "-"
        words = verdict(record, row)
        if row["raises"] is None:
            return words if words == "exact" else f"**{words}**"
        return letters.setdefault(words, _letter(len(letters)))

    parts = []
    for order, name in ORDERS.items():
        headings = [f"{name.capitalize()} order", "Version", *(v.label for v in LAYERS.values())]
        lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
        for record in records:
            if order in record["orders"]:
                cells = [cell(record, layer, order) for layer in LAYERS]
                lines.append(
                    "| " + " | ".join([label_of(record), version_of(record), *cells]) + " |"
                )
        parts.append("\n".join(lines))
    layer = next(iter(LAYERS.values()))
    torch = sorted({r["torch"] for r in records if r.get("torch")})
    note = NOTE.format(
        tolerance=records[0]["tolerance"],
        tasks=layer.tasks,
        steps=layer.inner_steps,
        torch=" and ".join(torch),
        command=records[0]["command"],
    )
    raised = [f"* {letter}: {_plain(words)}" for words, letter in letters.items()]
    return "\n\n".join([*parts, note, "\n".join(raised)]).strip()


def show(records: Sequence[dict], console: Console) -> None:
    """Prints a line for each contestant and order."""
    table = Table(
        title="Meta-gradients against a plain loop in float64",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    for heading in ("", "order", "exact", "wrong, by", "raises"):
        table.add_column(heading)
    for record in records:
        for order in record["orders"]:
            rows = [r for r in record["rows"] if r["order"] == order]
            exact = sum(verdict(record, r) == "exact" for r in rows)
            wrong = [
                f"{LAYERS[r['layer']].label} {words}"
                for r in rows
                if r["raises"] is None and (words := verdict(record, r)) != "exact"
            ]
            raises = [LAYERS[r["layer"]].label for r in rows if r["raises"] is not None]
            table.add_row(
                f"{label_of(record)} {version_of(record)}",
                str(order),
                f"{exact} of {len(rows)}",
                "\n".join(wrong) or "-",
                "\n".join(raises) or "-",
                style="bold red" if wrong else "",
            )
    console.print(table)


def write(out: Path, record: dict) -> Path:
    """Writes a record."""
    return record_files.write(Path(out) / "exactness" / f"{label_of(record)}.json", record)


def read_all(out: Path) -> list[dict]:
    """All records of a results folder: this suite's, then the others' by name.

    Raises:
        BenchError: names a file that is no such record.
    """

    def each_field(record: dict) -> None:
        markdown([record]), show([record], Console(quiet=True))

    files = sorted((Path(out) / "exactness").glob("*.json"))
    found = record_files.read_all(files, each_field, "maml-bench speed --exactness")
    return sorted(found, key=lambda r: not r["contestant"].startswith("maml_bench"))


def _row(record: dict, layer: str, order: int) -> dict | None:
    for row in record["rows"]:
        if (row["layer"], row["order"]) == (layer, order):
            return row
    return None


def _letter(number: int) -> str:
    return chr(ord("a") + number) if number < 26 else f"a{number - 25}"


def _plain(words: str) -> str:
    return words.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")
