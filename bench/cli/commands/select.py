"""Compares ways to choose a student's next question."""

import argparse
from pathlib import Path

from rich.console import Console

from bench.base.option_text import of_flag, typed_as
from bench.cli.commands._columns import columns_flag, columns_of
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
        metavar="POLICY",
        help="random, uncertainty, fisher, kli, maat, bayes; by default all that the model serves",
    )
    command.add_argument(
        "--questions", nargs="+", type=int, default=[1, 3, 5, 10], help="after how many to predict"
    )
    command.add_argument("--students", type=int, help="test students, at most")
    command.add_argument(
        "--answers", type=Path, metavar="FILE", help="students to ask; else those kept for testing"
    )
    command.add_argument(
        "--randomesque",
        type=int,
        default=1,
        metavar="N",
        help="choose at random among the N best, so that no question is asked of everybody",
    )
    command.add_argument(
        "--width",
        type=float,
        help="also stop, as the tutor does, when each skill is judged, or its interval no wider "
        "than this, such as 0.2",
    )
    command.add_argument(
        "--mastery",
        type=float,
        default=0.8,
        help="with --width: chance of success above which is mastery",
    )
    command.add_argument("--certainty", type=float, default=0.9, help="with --width: of a verdict")
    columns_flag(command)
    command.add_argument("--seed", type=int, default=0, help="of the division of the questions")
    command.add_argument("--out", type=Path, default=Path("results"), help="the results folder")
    command.add_argument("--data-root", type=Path, help="folder of prepared data")


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    add_outside(options)
    from bench.base import paths
    from bench.tutor.judgement import Settings
    from bench.tutor.selection_report import select

    until = None
    if options.width is not None:
        until = Settings(mastery=options.mastery, certainty=options.certainty, width=options.width)
    columns = columns_of(options)
    with typed_as(of_flag):
        select(
            options.checkpoint,
            options.selection,
            options.questions,
            options.students,
            options.seed,
            paths.writable(options.out),
            options.data_root,
            console,
            options.answers,
            options.randomesque,
            until,
            columns,
        )
