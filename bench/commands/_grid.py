"""What the commands that run grids share."""

import argparse
import ast
from pathlib import Path

from rich.console import Console

from bench.errors import BenchError
from bench.machine import Machine


def grid_flags(command: argparse.ArgumentParser) -> None:
    """Declares which part of a suite runs, where, and where its records go."""
    command.add_argument("suite", metavar="SUITE", help="see maml-bench list suites")
    command.add_argument("--algorithms", nargs="+", metavar="NAME", help="only these")
    command.add_argument("--datasets", nargs="+", metavar="NAME", help="only these")
    command.add_argument(
        "--out", type=Path, default=Path("results"), help="folder for records, tables and figures"
    )
    command.add_argument("--data-root", type=Path, help="folder of prepared data")
    command.add_argument(
        "--jobs", type=int, default=1, help="runs at a time, each on its share of the cores"
    )
    command.add_argument(
        "--retry-failed", action="store_true", help="try what has failed before again"
    )
    command.add_argument("--devices", default="1", help="how many devices, as in Lightning")
    command.add_argument("--accelerator", default="auto", help="cpu, gpu or auto")
    command.add_argument(
        "--checkpoint-every",
        type=float,
        default=Machine.checkpoint_every,
        metavar="SECONDS",
        help="what a kill may cost of training; an interrupted run goes on from there",
    )


def machine_of(options: argparse.Namespace) -> Machine:
    """The devices and folders that the flags name.

    Raises:
        BenchError: for an impossible time between two checkpoints.
    """
    if not 0 < options.checkpoint_every < float("inf"):
        raise BenchError(f"--checkpoint-every {options.checkpoint_every}: give seconds above 0")
    devices = int(options.devices) if options.devices.isdigit() else options.devices
    return Machine(options.accelerator, devices, options.data_root, options.checkpoint_every)


def workers(options: argparse.Namespace, console: Console) -> bool:
    """Has other processes do what is to do of a grid, if more than one at a time is asked for.

    Returns:
        Whether the grid was worked off in this way.

    Raises:
        BenchError: if ``--jobs`` is no number of jobs, or a job broke down.
    """
    from bench import jobs

    if options.jobs < 1:
        raise BenchError(f"--jobs {options.jobs}: give 1 or more")
    if options.jobs == 1 or jobs.is_worker():
        return False
    jobs.spread(options.argv, options.jobs, lambda line: console.print(line, markup=False))
    return True


def setting(text: str) -> tuple[str, object]:
    """Reads ``name=value``; a value that is no Python literal is a word.

    >>> setting("maml.inner_lr=0.5"), setting("batch_norm=support")
    (('maml.inner_lr', 0.5), ('batch_norm', 'support'))
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BenchError(f"--set {text}: write NAME=VALUE, such as --set inner_lr=0.5")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
