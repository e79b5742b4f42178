"""Makes the table again from the records."""

import argparse
from pathlib import Path

from rich.console import Console

from bench.base.errors import BenchError, nearest

HELP = "make the table again from the records"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    command.add_argument("suite", nargs="?", metavar="SUITE", help="only this suite")
    command.add_argument("--out", type=Path, default=Path("results"), help="the results folder")
    command.add_argument(
        "--format", choices=("terminal", "markdown", "csv", "latex"), default="terminal"
    )
    command.add_argument("--readme", type=Path, help="file whose block of this table is refreshed")


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    from bench.results import failed as failed_runs
    from bench.results import records, tables
    from bench.running import grid

    found, failed = records.read_all(options.out), failed_runs.read_all(options.out)
    suites = sorted(
        s for s in {r["experiment"]["suite"] for r in found} if not s.endswith("-tuning")
    )
    if options.suite:
        name = options.suite.replace("_", "-")
        if suites and name not in suites:
            raise BenchError(f"no records of suite {name!r}: {nearest(name, suites)}")
        suites = [name] if suites else []
    if not suites:
        many = f" ({len(failed)} failed, see failed/ there)" if failed else ""
        raise BenchError(
            f"no records under {options.out}{many}: make some with maml-bench run SUITE"
        )
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
            tables.refresh_readme(options.readme, suite, markdown)
