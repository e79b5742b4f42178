"""Measures how often what the tutor says is right."""

import argparse

from rich.console import Console

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


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    from bench.tutor import calibration

    found = []
    with console.status("training on made-up students: about half a minute each"):
        for row in calibration.measure(
            options.algorithms,
            options.students,
            options.skills,
            options.correlation,
            options.dimensions,
        ):
            found.append(row)
    calibration.show(found, console)
