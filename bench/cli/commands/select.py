"""Compares ways to choose a student's next question."""

import argparse
from pathlib import Path

from rich.console import Console

from bench.cli.commands._grid import add_outside, outside_flags

HELP = "compare ways to choose a student's next question"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    outside_flags(command)
    command.add_argument(
        "--checkpoint",
        nargs="+",
        type=Path,
        required=True,
        metavar="FILE",
        help="of a suite run: results/checkpoints/KEY/best.ckpt, or of fit; several make an "
        "ensemble",
    )
    command.add_argument(
        "--selection",
        nargs="+",
        default=["random", "fisher", "bayes"],
        metavar="POLICY",
        help="random, fisher, bayes",
    )
    command.add_argument(
        "--questions", nargs="+", type=int, default=[1, 3, 5, 10], help="after how many to predict"
    )
    command.add_argument("--students", type=int, help="test students, at most")
    command.add_argument("--seed", type=int, default=0, help="of the division of the questions")
    command.add_argument("--out", type=Path, default=Path("results"), help="the results folder")
    command.add_argument("--data-root", type=Path, help="folder of prepared data")


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    add_outside(options)
    from bench.base import paths
    from bench.tutor.selection_report import select

    select(
        options.checkpoint,
        options.selection,
        options.questions,
        options.students,
        options.seed,
        paths.writable(options.out),
        options.data_root,
        console,
    )
