"""Tables and figures of what runs have predicted: confusion by class, and calibration."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from bench.base import spreadsheets
from bench.base.paths import write_text
from bench.results import calibration, confusion, plots, prediction_plots, predictions, tables
from bench.results.summary import cells, names, setting

CLASSES = 10  # hardest ones that are printed
LEAST = 20  # queries that a class needs to be called hard, where any has so many


def report(out: Path, records: Sequence[dict], console: Console) -> list[Path]:
    """Prints and writes what the predictions of a suite say; nothing where none were kept.

    Args:
        out: the results folder.
        records: of one suite.
        console: where to print.

    Returns:
        The files ``tables/<suite>-{confusion,calibration}.{csv,md}`` and
        ``figures/<suite>-{confusion,calibration}.png`` that were written.

    Raises:
        BenchError: if a file of predictions is not what it should be.
    """
    members_of = cells([*records])
    kept = {key: predictions.of_records(out, members) for key, members in members_of.items()}
    kept = {key: parts for key, parts in kept.items() if parts}
    if not kept:
        return []
    members_of = {key: members_of[key] for key in kept}
    place = {
        key: {"Data": _data(members_of[key][0]), "Setting": setting(*key[2:4]), "Algorithm": name}
        for key, name in names(members_of).items()
    }
    suite, paths = next(iter(kept))[0], []
    reliable = {key: calibration.reliability(parts) for key, parts in kept.items()}
    confused = {k: confusion.pairs(parts) for k, parts in kept.items() if len(parts[0].names)}
    figures = Path(out) / "figures"
    if confused:
        hardest = _hardest(confused, place)
        _print(hardest, "hardest classes", console)
        paths += _write(
            out, f"{suite}-confusion", _long(confused, place), {"Hardest classes": hardest}
        )
        paths.append(figures / f"{suite}-confusion.png")
        plots.save(prediction_plots.confusion(confused, place), paths[-1])
    errors = _errors(reliable, place)
    _print(errors, "calibration", console)
    bins = _bins(reliable, place)
    paths += _write(
        out, f"{suite}-calibration", _long(reliable, place), {"Calibration": errors, "Bins": bins}
    )
    paths.append(figures / f"{suite}-calibration.png")
    plots.save(prediction_plots.calibration(members_of, reliable), paths[-1])
    return paths


def _data(record: dict) -> str:
    return record["experiment"]["dataset"] + (" (synthetic)" if record["synthetic"] else "")


def _print(table: pd.DataFrame, title: str, console: Console) -> None:
    for (data, words), rows in table.groupby(["Data", "Setting"], sort=False):
        shown = rows.drop(columns=["Data", "Setting"])
        tables.print_frame(shown, f"{data}, {words}: {title}", console)


def _hardest(confused: Mapping[tuple, pd.DataFrame], place: Mapping[tuple, dict]) -> pd.DataFrame:
    lines = []
    for key, table in confused.items():
        classes = confusion.by_class(table)
        enough = classes[classes["rows"] >= LEAST]
        for row in (enough if len(enough) else classes).head(CLASSES).itertuples(index=False):
            name, rows, right, other, mistaken = row
            wrong = "-" if pd.isna(mistaken) else f"{other} ({100 * mistaken:.0f} %)"
            line = {"Class": name, "Right": f"{100 * right:.1f} %", "Queries": f"{rows:,}"}
            lines.append(place[key] | line | {"Most taken for (when both are there)": wrong})
    return pd.DataFrame(lines)


def _errors(reliable: Mapping[tuple, pd.DataFrame], place: Mapping[tuple, dict]) -> pd.DataFrame:
    lines = []
    for key, table in reliable.items():
        total = table["rows"].sum()
        said, right = ((table[n] * table["rows"]).sum() / total for n in ("probability", "right"))
        line = {
            "Expected calibration error": f"{100 * calibration.expected_error(table):.1f} %",
            "Mean probability": f"{100 * said:.1f} %",
            "Right": f"{100 * right:.1f} %",
            "Queries": f"{total:,}",
        }
        lines.append(place[key] | line)
    return pd.DataFrame(lines)


def _bins(reliable: Mapping[tuple, pd.DataFrame], place: Mapping[tuple, dict]) -> pd.DataFrame:
    lines = []
    for key, table in reliable.items():
        for row in table.itertuples():
            line = {
                "Probability": f"{row.low:.2f} to {row.high:.2f}",
                "Mean": f"{row.probability:.3f}",
                "Right": f"{row.right:.3f}",
                "Queries": f"{row.rows:,}",
            }
            lines.append(place[key] | line)
    return pd.DataFrame(lines)


def _long(of_cells: Mapping[tuple, pd.DataFrame], place: Mapping[tuple, dict]) -> pd.DataFrame:
    parts = []
    for key, table in of_cells.items():
        first = {name.lower(): value for name, value in place[key].items()}
        parts.append(table.assign(**first)[[*first, *table.columns]])
    return pd.concat(parts, ignore_index=True)


def _write(
    out: Path, name: str, numbers: pd.DataFrame, shown: Mapping[str, pd.DataFrame]
) -> list[Path]:
    """Numbers as CSV, words as Markdown."""
    stem = Path(out) / "tables" / name
    paths = [stem.with_name(f"{name}.{suffix}") for suffix in ("csv", "md")]
    write_text(paths[0], spreadsheets.to_csv(numbers, float_format="%.7g"))
    parts = [part for title, table in shown.items() for part in (f"**{title}**", table)]
    write_text(paths[1], "\n\n".join(map(tables.markdown, parts)) + "\n")
    return paths
