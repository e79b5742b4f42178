"""Measures how often what the tutor says is right."""

import argparse
from pathlib import Path

from rich.console import Console

from bench.base.errors import BenchError

HELP = "measure how often the tutor's intervals and verdicts are right"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    command.add_argument(
        "--algorithms",
        nargs="+",
        default=["bilevel_irt", "rasch", "two_pl"],
        metavar="NAME",
        help="models of students",
    )
    command.add_argument("--students", type=int, default=500, help="made-up ones to train on")
    command.add_argument("--skills", type=int, default=4, help="2 to 5")
    command.add_argument(
        "--correlation", type=float, default=0.5, help="of the abilities in two skills, 0 to 0.9"
    )
    command.add_argument("--dimensions", type=int, help="abilities of bilevel_irt; 5 by default")
    command.add_argument("--out", type=Path, default=Path("results"), help="the results folder")
    command.add_argument("--readme", type=Path, help="file whose block of this table is refreshed")


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    from bench.base import paths
    from bench.results import readme_blocks
    from bench.tutor import calibration, calibration_report

    if options.students < 1:
        raise BenchError(f"--students {options.students}: give 1 or more")
    if not 2 <= options.skills <= 5:
        raise BenchError(f"--skills {options.skills}: give 2 to 5")
    out = paths.writable(options.out)
    if options.readme:
        readme_blocks.check(options.readme, "check")
    names = ("students", "skills", "correlation", "dimensions")
    asked = {name: getattr(options, name) for name in names}
    with console.status("training on made-up students: about half a minute each"):
        found = list(calibration.measure(options.algorithms, **asked))
    kept = calibration_report.record(found, asked)
    calibration_report.show(kept, console)
    for path in calibration_report.write(kept, out):
        console.print(f"wrote {path}", markup=False, highlight=False)
    if options.readme:
        every = calibration_report.markdown(calibration_report.read_all(out))
        readme_blocks.refresh(options.readme, "check", every)
