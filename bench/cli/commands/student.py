"""What students master, and what to ask next."""

import argparse
from pathlib import Path

from rich.console import Console

from bench.base.option_text import of_flag, typed_as
from bench.cli.commands._columns import columns_flag, columns_of
from bench.cli.commands._grid import add_outside, outside_flags

HELP = "what students master, and what to ask next"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    outside_flags(command)
    command.add_argument(
        "--checkpoint", nargs="+", type=Path, required=True, help="of a model of students"
    )
    command.add_argument("--answers", type=Path, required=True, help="file of students' answers")
    command.add_argument("--out", type=Path, default=Path("students"), help="folder for the report")
    command.add_argument(
        "--target",
        nargs=2,
        type=float,
        default=(0.6, 0.8),
        metavar=("LOW", "HIGH"),
        help="chance of success of questions to practise",
    )
    command.add_argument(
        "--mastery", type=float, default=0.8, help="chance of success above which is mastery"
    )
    command.add_argument("--certainty", type=float, default=0.9, help="of a verdict")
    command.add_argument("--questions", type=int, default=5, help="how many next questions to name")
    command.add_argument(
        "--latest", type=int, metavar="N", help="answers of each student to use; all by default"
    )
    command.add_argument(
        "--unknown-items",
        choices=("refuse", "skip"),
        default="refuse",
        help="what to do about answers to questions that the checkpoint does not know",
    )
    command.add_argument(
        "--temperature",
        type=float,
        default=1.0,
        metavar="T",
        help="divide the log-odds of all chances by it, as compare may advise",
    )
    columns_flag(command)
    command.add_argument("--no-pictures", action="store_true", help="tables alone")


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    add_outside(options)
    from bench.tutor import student
    from bench.tutor.judgement import Settings

    columns = columns_of(options)
    settings = Settings(
        tuple(options.target),
        options.mastery,
        options.certainty,
        options.questions,
        options.latest,
    )
    with typed_as(of_flag):
        student.report(
            options.checkpoint,
            options.answers,
            options.out,
            settings,
            console,
            columns,
            options.unknown_items == "skip",
            not options.no_pictures,
            options.temperature,
        )
