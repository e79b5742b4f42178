"""A page that asks each pupil the right question next, and shows the teacher the class."""

import argparse
from pathlib import Path

from rich.console import Console

from bench.cli.commands._grid import add_outside, outside_flags

HELP = "a local web page: asks each pupil the right question, shows the teacher the class"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    outside_flags(command)
    command.add_argument(
        "--checkpoint", nargs="+", type=Path, required=True, help="of a model of students"
    )
    command.add_argument(
        "--db", type=Path, required=True, help="file for the answers; made if it is not there"
    )
    command.add_argument(
        "--questions", type=Path, metavar="CSV", help="item_id,text[,choices][,answer]"
    )
    command.add_argument(
        "--selection", metavar="POLICY", help="random, uncertainty, fisher, kli, maat or bayes"
    )
    command.add_argument(
        "--randomesque",
        type=int,
        default=3,
        metavar="N",
        help="choose at random among the N best, so that neighbours are asked different questions",
    )
    command.add_argument("--most", type=int, default=20, help="questions in one sitting")
    command.add_argument(
        "--mastery", type=float, default=0.8, help="chance of success above which is mastery"
    )
    command.add_argument("--certainty", type=float, default=0.9, help="of a verdict")
    command.add_argument(
        "--width",
        type=float,
        default=0.2,
        help="a skill is known well enough when judged, or its interval no wider than this",
    )
    command.add_argument("--host", default="127.0.0.1", help="0.0.0.0: for other machines, too")
    command.add_argument("--port", type=int, default=8000, help="0: any that is free")


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    add_outside(options)
    from bench.tutor.judgement import Settings
    from bench.tutor.pages.options import Options
    from bench.tutor.pages.server import serve
    from bench.tutor.tutor import Tutor

    settings = Settings(mastery=options.mastery, certainty=options.certainty, width=options.width)
    asking = Options(options.selection, options.most, options.randomesque)
    tutor = Tutor(options.checkpoint, options.db, settings)
    serve(tutor, options.questions, asking, options.host, options.port, console)
