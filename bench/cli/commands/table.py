"""Makes the table again from the records."""

import argparse
from pathlib import Path

from rich.console import Console

from bench.base.errors import BenchError
from bench.cli.commands._suites import with_records

HELP = "make the table again from the records"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    command.add_argument("suite", nargs="?", metavar="SUITE", help="only this suite")
    command.add_argument(
        "--across",
        nargs="*",
        metavar="SUITE",
        help="rank the methods over the data sets of these suites (of all, if none is named)",
    )
    command.add_argument("--out", type=Path, default=Path("results"), help="the results folder")
    command.add_argument(
        "--format", choices=("terminal", "markdown", "csv", "latex"), default="terminal"
    )
    command.add_argument("--readme", type=Path, help="file whose block of this table is refreshed")


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    from bench.results import failed as failed_runs
    from bench.results import readme_blocks, records, tables
    from bench.running import grid

    found, failed = records.read_all(options.out), failed_runs.read_all(options.out)
    suites = sorted(
        s for s in {r["experiment"]["suite"] for r in found} if not s.endswith("-tuning")
    )
    if options.suite and options.across is not None:
        raise BenchError(f"table {options.suite} --across: name the suites after --across")
    if options.readme and options.across is not None:
        raise BenchError("--readme: goes with tables of suites, not with --across")
    wanted = options.across or ([options.suite] if options.suite else [])
    if wanted and suites:
        named = with_records(wanted, suites)
        suites = [name for name in suites if name in named]
    if not suites:
        many = f" ({len(failed)} failed, see failed/ there)" if failed else ""
        raise BenchError(
            f"no records under {options.out}{many}: make some with maml-bench run SUITE"
        )
    if options.across is not None:
        found = [r for r in found if r["experiment"]["suite"] in suites]
        missing = [f for f in failed if f.experiment["suite"] in suites]
        rank(found, missing, options.format, console)
        return
    if options.format == "csv":  # one header, however many suites
        parts = [r for r in found if r["experiment"]["suite"] in suites]
        missing = [f for f in failed if f.experiment["suite"] in suites]
        print(tables.to_csv(parts, missing), end="")
    for suite in suites:
        part = [r for r in found if r["experiment"]["suite"] == suite]
        missing = [f for f in failed if f.experiment["suite"] == suite]
        if options.format == "terminal":
            grid.report(suite, options.out, console, part)
        elif options.format != "csv":
            print(getattr(tables, f"to_{options.format}")(part, failed=missing))
        if options.readme:
            markdown = tables.to_markdown(part, brief=True, failed=missing)
            readme_blocks.refresh(options.readme, suite, markdown)


def rank(records: list[dict], failed: list, form: str, console: Console) -> None:
    """Prints which method to take, of each kind of data."""
    from bench.results import across, tables

    rankings = across.across(records, failed)
    if not rankings:
        raise BenchError("a ranking needs two data sets of a kind or more: name more suites")
    for ranking in rankings:
        shown, title = across.display(ranking), f"Which method to take, {ranking.kind}"
        notes = across.caption(ranking)
        if form == "csv":
            print(tables.spreadsheets.to_csv(ranking.rows.assign(kind=ranking.kind)), end="")
        elif form == "markdown":
            print(f"**{title}**\n\n{tables.markdown(shown)}\n\n{notes}\n")
        elif form == "latex":
            print(tables.booktabs(shown, f"{title}. {notes}"))
        else:
            tables.print_frame(shown, title, console, min(console.width, 116))
            console.print(notes, style="dim", markup=False, highlight=False, width=100)
