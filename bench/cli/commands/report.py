"""Writes all results as one page for the browser."""

import argparse
from pathlib import Path

from rich.console import Console

from bench.base.errors import BenchError, nearest

HELP = "write all results as one self-contained page"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    command.add_argument("suites", nargs="*", metavar="SUITE", help="only these suites")
    command.add_argument("--out", type=Path, default=Path("results"), help="the results folder")
    command.add_argument(
        "--against", type=Path, metavar="DIR", help="another results folder to compare with"
    )


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    from bench.results import failed as failed_runs
    from bench.results import failure_tables, records
    from bench.results.report import page, trials

    wanted = [name.replace("_", "-") for name in options.suites]

    def read(folder: Path) -> list[dict]:
        found = records.read_all(folder)
        suites = sorted({r["experiment"]["suite"] for r in found if not trials.is_trial(r)})
        if not suites:
            raise BenchError(f"no records under {folder}: make some with maml-bench run SUITE")
        for name in wanted:
            if name not in suites:
                raise BenchError(f"no records of suite {name!r}: {nearest(name, suites)}")
        shown = {n for name in wanted or suites for n in (name, name + trials.TUNING)}
        return [r for r in found if r["experiment"]["suite"] in shown]

    found = read(options.out)
    failed = [
        failure
        for failure in failed_runs.read_all(options.out)
        if not wanted or failure.experiment["suite"] in wanted
    ]
    other = read(options.against) if options.against else []
    path = page.write(
        options.out,
        found,
        failure_tables.lines(failed),
        other,
        str(options.against) if options.against else "",
    )
    console.print(f"wrote {path}", markup=False, highlight=False)
