"""Classifies a person's own images after adapting to a few examples of them."""

import argparse
from pathlib import Path

from rich.console import Console

from bench.cli.commands._grid import add_outside, outside_flags

HELP = "classify your own images after adapting to a few examples of each class"
OWN_FLAGS = ("--checkpoint", "--support", "--query")
HELP_FLAGS, LIGHTNING_FLAGS = ("-h", "--help"), ("--model", "--config", "-c")
CHOICES = {"auto": None, "yes": True, "no": False}


def is_meant(arguments: list[str]) -> bool:
    """Whether it is this command, and not Lightning's of the same name.

    >>> is_meant(["--support", "a"]), is_meant(["--help"]), is_meant(["--model", "MAML"])
    (True, True, False)
    """
    given = {a.split("=")[0] for a in arguments}
    asks = given.intersection(HELP_FLAGS) and not given.intersection(LIGHTNING_FLAGS)
    return not arguments or bool(asks or given.intersection(OWN_FLAGS))


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    command.epilog = "With --model or --config instead, predict is Lightning's own command."
    outside_flags(command)
    command.add_argument(
        "--checkpoint", type=Path, required=True, help="results/checkpoints/KEY/best.ckpt"
    )
    command.add_argument(
        "--support", type=Path, required=True, help="folder with a folder of examples a class"
    )
    command.add_argument(
        "--query",
        type=Path,
        required=True,
        help="folder of images; in folders named like the classes, the share of right ones is said",
    )
    command.add_argument("--out", type=Path, metavar="CSV", help="file for all probabilities")
    command.add_argument(
        "--invert",
        choices=CHOICES,
        default="auto",
        help="exchange dark and bright; auto: where that was done with the training data",
    )


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    add_outside(options)
    from bench.running import own_images

    own_images.report(
        options.checkpoint,
        options.support,
        options.query,
        options.out,
        console,
        CHOICES[options.invert],
    )
