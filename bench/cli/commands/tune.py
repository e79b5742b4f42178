"""Chooses a suite's settings on validation episodes."""

import argparse

from rich.console import Console

from bench.base import registry
from bench.cli.commands._grid import grid_flags, launcher_of, machine_of

HELP = "choose a suite's settings on validation episodes"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    grid_flags(command)
    command.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="of each algorithm, in the ranges that it declares; else the suite's own candidates",
    )


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    from bench.base import allocator, paths
    from bench.running import tuning

    machine = machine_of(options)
    allocator.keep_memory()
    tuning.tune(
        registry.load("suites", registry.add("suites", options.suite)),
        paths.writable(options.out),
        console,
        options.algorithms,
        options.datasets,
        machine,
        options.retry_failed,
        launcher_of(options),
        options.trials,
    )
