"""Makes the table again from the records."""

import argparse
from pathlib import Path

from rich.console import Console

from bench.errors import BenchError, nearest

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
    from bench import records, runner, tables

    found = records.read_all(options.out)
    suites = sorted(
        s for s in {r["experiment"]["suite"] for r in found} if not s.endswith("-tuning")
    )
    if options.suite:
        name = options.suite.replace("_", "-")
        if suites and name not in suites:
            raise BenchError(f"no records of suite {name!r}: {nearest(name, suites)}")
        suites = [name] if suites else []
    if not suites:
        raise BenchError(f"no records under {options.out}: make some with maml-bench run SUITE")
    if options.format == "csv":  # one header, however many suites
        print(tables.to_csv([r for r in found if r["experiment"]["suite"] in suites]), end="")
    for suite in suites:
        part = [r for r in found if r["experiment"]["suite"] == suite]
        if options.format == "terminal":
            runner.report(suite, options.out, console)
        elif options.format != "csv":
            print(getattr(tables, f"to_{options.format}")(part))
        if options.readme:
            tables.refresh_readme(options.readme, suite, tables.to_markdown(part, brief=True))
