"""Measures, on made-up students, whether it pays to let the tutor choose."""

import argparse
from pathlib import Path

from rich.console import Console

HELP = "measure how soon the tutor knows a student, and whether its practice pays"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    command.add_argument(
        "--selection",
        nargs="+",
        default=["random", "fisher", "bayes"],
        metavar="POLICY",
        help="random, uncertainty, fisher, kli, maat, bayes",
    )
    command.add_argument("--trained-on", type=int, default=500, help="made-up students")
    command.add_argument("--steps", type=int, default=1000, help="meta-iterations of training")
    command.add_argument("--students", type=int, default=200, help="made-up ones to test")
    command.add_argument("--questions", type=int, default=30, help="asked of each")
    command.add_argument("--practice", type=int, default=60, help="questions that each practises")
    command.add_argument("--out", type=Path, default=Path("results"), help="the results folder")
    command.add_argument("--readme", type=Path, help="file whose block of this table is refreshed")


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    from bench.base import paths
    from bench.results import readme_blocks
    from bench.tutor import tutoring_report
    from bench.tutor.tutoring import Size

    size = Size(
        options.trained_on,
        options.steps,
        options.students,
        options.questions,
        options.practice,
    )
    out = paths.writable(options.out)
    if options.readme:
        readme_blocks.check(options.readme, "tutoring")
    record = tutoring_report.check(options.selection, size, out, console)
    if options.readme:
        readme_blocks.refresh(options.readme, "tutoring", tutoring_report.markdown(record))
