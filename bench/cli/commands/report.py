"""Writes all results as one page for the browser."""

import argparse
from pathlib import Path

from rich.console import Console

from bench.base.errors import BenchError
from bench.cli.commands._suites import with_records

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
    from bench.results import records
    from bench.results.report import page, trials

    def read(folder: Path) -> list[dict]:
        """Records of the suites that are asked for, and of the trials of their choices."""
        found = records.read_all(folder)
        suites = sorted({r["experiment"]["suite"] for r in found if not trials.is_trial(r)})
        if not suites:
            raise BenchError(f"no records under {folder}: make some with maml-bench run SUITE")
        named = with_records(options.suites, suites) or suites
        shown = {n for name in named for n in (name, name + trials.TUNING)}
        return [r for r in found if r["experiment"]["suite"] in shown]

    found = read(options.out)
    suites = {r["experiment"]["suite"] for r in found}
    failed = [
        failure
        for failure in failed_runs.read_all(options.out)
        if not options.suites or failure.experiment["suite"] in suites
    ]
    other = read(options.against) if options.against else []
    path = page.write(
        options.out,
        found,
        failed,
        other,
        str(options.against) if options.against else "",
    )
    console.print(f"wrote {path}", markup=False, highlight=False)
