"""Tables from records: Markdown, CSV, LaTeX and the terminal, all from one summary in numbers."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.base import spreadsheets
from bench.base.paths import write_text
from bench.results import failed as failed_runs
from bench.results import failure_tables
from bench.results.answer_tables import curve, details, enough_decimals, is_curve, missing, shares
from bench.results.captions import DIFFERS, ELSEWHERE, caption
from bench.results.failed import Failure
from bench.results.published import UNSTATED
from bench.results.summary import (
    FIRST_AHEAD,
    NOT_ALIKE,
    SECOND_AHEAD,
    Results,
    frame,
    summary,
)

__all__ = ["frame", "print_rich", "summary", "write_all"]

# of the columns of a printed table: 100 columns leave room for the algorithm's name
WIDTHS = {"test": 15, "before → after": 15, "second − first": 19, "ms": 5, "MiB": 5, "runs": 5}
LATEX = str.maketrans(
    {c: f"\\{c}" for c in "%&#_${}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
SYMBOLS = {"±": r"$\pm$", "→": r"$\to$", "−": "$-$", DIFFERS: r"$\neq$"}
# decimals, factor and unit of each headline metric
PERCENT = (1, 100, " %")
FORMATS = {"accuracy": PERCENT, "error_rate": PERCENT, "auc": (3, 1, ""), "mse": (2, 1, "")}


def figure(metric: str, mean: float, half_width: float | None = None, sign: bool = False) -> str:
    """A number as the field writes it, with as many decimals as its interval needs.

    >>> figure("accuracy", 0.9614, 0.0041)
    '96.1 ± 0.4 %'
    >>> figure("auc", 0.7831, 0.0021)
    '.783 ± .002'
    >>> figure("mse", -0.021, 0.0012, sign=True)
    '-0.021 ± 0.001'
    >>> figure("auc", 0.00014, 0.000118, sign=True)
    '+.00014 ± .00012'
    """
    decimals, factor, unit = FORMATS.get(metric, (3, 1, ""))
    if np.isnan(mean):
        return "diverged"
    if half_width and half_width > 0:  # at least one digit of the interval
        decimals = min(max(decimals, -int(np.floor(np.log10(half_width * factor)))), 6)
        decimals = enough_decimals(mean * factor, half_width * factor, decimals)
    numbers = [f"{factor * mean:{'+' if sign else ''}z.{decimals}f}"]
    if half_width is not None and not np.isnan(half_width):
        numbers.append(f"{factor * half_width:.{decimals}f}")
    text = " ± ".join(numbers) + unit
    return re.sub(r"(?<!\d)0\.", ".", text) if metric == "auc" else text


def display(table: pd.DataFrame) -> pd.DataFrame:
    """The summary in words, one column a heading of the printed table."""
    rows = []
    for row in table.itertuples():
        rows.append(
            {
                "Data": row.dataset + (" (synthetic)" if row.synthetic else ""),
                "Setting": row.setting,
                "Algorithm": row.label,
                "Batch norm": row.batch_norm or "-",
                "Metric": row.metric.replace("_", " "),
                "Test": _test(row),
                "Before → after": _before_after(row),
                "Second − first order": _difference(row),
                "Verdict": row.verdict or "-",
                "ms": _short(row.ms_per_iteration) + ELSEWHERE * row.measured_elsewhere,
                "MiB": _short(row.peak_memory_mib),
                "Runs": str(row.runs),
                "Published": _published(row),
            }
        )
    shown = pd.DataFrame(rows)
    empty = {"Batch norm": not table["batch_norm"].any(), "Published": table["published"].isna()}
    return shown.drop(columns=[name for name, is_so in empty.items() if np.all(is_so)])


def to_csv(records: list[dict], failed: Sequence[Failure] = ()) -> str:
    """The summary itself, one column a figure, and below it a row for each failed run."""
    table = summary(records)
    if failed:
        kinds = {np.dtype(int): "Int64", np.dtype(bool): "boolean"}  # which may be missing
        table = table.astype({n: kinds[d] for n, d in table.dtypes.items() if d in kinds})
        table = pd.concat([table, failure_tables.rows(failed)])
    return spreadsheets.to_csv(table, float_format="%.7g")


def to_markdown(records: list[dict], brief: bool = False, failed: Sequence[Failure] = ()) -> str:
    """GitHub tables, their caption, and which runs have failed.

    Args:
        records: of one suite, or several.
        brief: for a README: without the table of all metrics of right and wrong answers, and
            without the blanks that line up the columns.
        failed: the runs that have no record.
    """
    table, parts = summary(records), []
    curves, plain = _curves(table)
    if len(plain):
        parts.append(display(plain))
    for name, rows in curves.items():
        parts += [f"**{name}**", curve(rows)]
        if rows["share"].notna().any():
            parts.append(shares(rows))
    answers = table[table["metric"] == "auc"]
    if len(answers) and not brief:
        parts += ["**All metrics**", details(answers)]
    curved = table.drop(plain.index)
    with_way = (curved if brief else table)["share"].notna().any()
    text = escaped(" ".join(caption(table, plain, curved, with_way)))
    below = [failure_tables.markdown(failed, len(records))] if failed else []
    tables = map(markdown, parts)
    if brief:
        tables = map(narrow, tables)
    return "\n\n".join([*tables, text, *below]) + "\n"


def narrow(table: str) -> str:
    """A GitHub table without the blanks that line up its columns, which are a third of it."""
    return re.sub(r" +(?= )|-+(?=---)", "", table)


def escaped(words: str) -> str:
    """Words for a page of Markdown, in which no tag begins."""
    return words.replace("<", "&lt;")


def markdown(part: pd.DataFrame | str) -> str:
    """A GitHub table of words; text stays as it is."""
    if isinstance(part, str):
        return part
    shown = part.map(lambda text: escaped(text).replace("|", "\\|"))
    return shown.to_markdown(index=False, disable_numparse=True)


def _curves(table: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Data sets that are curves over the answers shown, by name, and the rows of the others."""
    curves, plain = {}, []
    for (_, name), rows in table.groupby(["suite", "dataset"], sort=False):
        synthetic = " (synthetic)" if rows["synthetic"].any() else ""
        if is_curve(rows):
            curves[name + synthetic] = rows
        else:
            plain.append(rows)
    return curves, pd.concat(plain) if plain else table[:0]


def to_latex(records: list[dict], failed: Sequence[Failure] = ()) -> str:
    """A booktabs table, whose caption says what has failed."""
    table = summary(records)
    notes = caption(table, table, table[:0], False)
    if failed:
        words = "; ".join(failure_tables.lines(failed))
        notes.append(f"{failure_tables.heading(failed, len(records))}: {words}.")
    shown = display(table)
    again = shown[["Data", "Setting"]].duplicated()
    shown.loc[again, ["Data", "Setting"]] = ""
    return booktabs(shown, " ".join(notes))


def booktabs(shown: pd.DataFrame, notes: str) -> str:
    """A LaTeX table of words with its caption."""
    text = (
        shown.style.hide(axis="index")
        .format(escape="latex")
        .format_index(escape="latex", axis="columns")
        .to_latex(
            hrules=True,
            column_format="l" * len(shown.columns),
            caption=notes.translate(LATEX),
            position_float="centering",
        )
    )
    for symbol, command in SYMBOLS.items():
        text = text.replace(symbol, command)
    return text


def print_rich(
    records: list[dict],
    console: Console,
    out: Path | None = None,
    failed: Sequence[Failure] = (),
) -> None:
    """Prints the table for a terminal of 100 columns or more; bold is the order shown ahead.

    Args:
        records: of one suite, or several.
        console: where to print.
        out: the folder in which the same table lies as files, to be named below it.
        failed: the runs that have no record.
    """
    table, width = summary(records), min(console.width, 116)
    curves, plain = _curves(table)
    for name, rows in curves.items():
        print_frame(curve(rows), name, console, width)
        if rows["share"].notna().any():
            print_frame(shares(rows), "", console, width)
    shown = display(table)
    for _, rows in plain.groupby(["suite", "dataset", "setting"], sort=False):
        grid = Table(
            title=Text(_heading(rows), style="bold"),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            width=width,
        )
        grid.add_column("", ratio=1)
        for heading, columns in WIDTHS.items():
            grid.add_column(heading, width=columns, justify="right")
        best = {
            row.partner if row.verdict == FIRST_AHEAD else row.label
            for row in rows.itertuples()
            if row.verdict in (FIRST_AHEAD, SECOND_AHEAD)
        }
        for index, row in rows.iterrows():
            text = shown.loc[index]
            verdict = f"\n{row['verdict']}" if row["verdict"] else ""
            reported = text.get("Published", "-")
            grid.add_row(
                Text(row["label"] + ("" if reported == "-" else f"\npublished: {reported}")),
                Text(text["Test"], "bold" if row["label"] in best else ""),
                text["Before → after"],
                text["Second − first order"] + verdict,
                *text[["ms", "MiB", "Runs"]],
            )
        console.print(grid)
    for name, rows in table[table["metric"] == "auc"].groupby("dataset", sort=False):
        last = rows[rows["shots"] == rows["shots"].max()] if is_curve(rows) else rows
        most = last.drop(columns="dataset")
        heading = f"{name}, {most['setting'].iloc[0]}: all metrics"
        shown = details(most.assign(dataset=name)).drop(columns=["Data", "Setting"])
        print_frame(shown, heading, console, width)
    notes = caption(table, plain, table.drop(plain.index), table["share"].notna().any())
    if plain["verdict"].isin([SECOND_AHEAD, FIRST_AHEAD]).any():
        notes.append("Bold: the order shown ahead.")
    if out is not None:
        notes.append(f"Files: {Path(out) / 'tables'}, {Path(out) / 'runs'}.")
    console.print(Text(" ".join(notes), style="dim"), width=width)
    if failed:
        console.print(Text(failure_tables.heading(failed, len(records)), style="bold red"))
        for line in failure_tables.lines(failed):
            console.print(Text(f"  {line}", style="red"), width=width)


def print_frame(
    frame: pd.DataFrame, title: str, console: Console, width: int | None = None
) -> None:
    """Prints a table of words for a terminal of 100 columns or more."""
    grid = Table(
        title=Text(title, style="bold") if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        width=width or min(console.width, 116),
    )
    for i, name in enumerate(frame.columns):
        grid.add_column(name, justify="right" if i else "left", ratio=None if i else 1)
    for row in frame.itertuples(index=False):
        grid.add_row(*map(Text, row))
    console.print(grid)


def _heading(rows: pd.DataFrame) -> str:
    row = rows.iloc[0]
    words = [row["dataset"] + (" (synthetic)" if row["synthetic"] else ""), row["setting"]]
    words += [f"batch norm {mode}" for mode in rows["batch_norm"].unique() if mode]
    return ", ".join(words) + f": {row['metric'].replace('_', ' ')}"


def _test(row) -> str:
    lacking = missing(row.metric, row.mean, row.nll)
    return lacking or figure(row.metric, row.mean, row.half_width)


def _before_after(row) -> str:
    if row.test_steps == 0 or missing(row.metric, row.after, row.nll) == "-":
        return "-"
    before, after = (figure(row.metric, v) for v in (row.before, row.after))
    return f"{before.removesuffix(' %')} → {after}"


def _difference(row) -> str:
    if row.verdict in ("", NOT_ALIKE):
        return "-"
    lacking = missing(row.metric, row.difference, row.nll)
    return lacking or figure(row.metric, row.difference, row.difference_half_width, sign=True)


def _published(row) -> str:
    """What a paper reports; ≠ where its protocol may differ, otherwise whether it was reached."""
    if np.isnan(row.published):
        return "-"
    interval = None if np.isnan(row.published_interval) else row.published_interval
    number, note = figure(row.metric, row.published, interval), row.published_note
    if note.startswith(("differs", UNSTATED)):
        return f"{number} {DIFFERS}"
    return f"{number} ({note})" if note else number


def _short(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.{1 if value < 100 else 0}f}"


# Files ------------------------------------------------------------------------------------------


def write_all(out: Path, records: list[dict]) -> list[Path]:
    """Writes ``out/tables/<suite>.csv``, ``.md`` and ``.tex`` of every suite in the records."""
    paths, suites = [], sorted({r["experiment"]["suite"] for r in records})
    for suite in suites:
        own = records
        if len(suites) > 1:
            own = Results(r for r in records if r["experiment"]["suite"] == suite)
        failed = failed_runs.read_all(out, suite)
        for suffix, form in (("csv", to_csv), ("md", to_markdown), ("tex", to_latex)):
            paths.append(Path(out) / "tables" / f"{suite}.{suffix}")
            write_text(paths[-1], form(own, failed=failed))
    return paths
