"""Chooses a suite's settings on validation episodes."""

import argparse

from rich.console import Console

from bench.cli.commands._grid import find_suite, grid_flags, launcher_of, machine_of

HELP = "choose a suite's settings on validation episodes"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    grid_flags(command)


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    from bench.base import allocator, paths
    from bench.running import tuning

    machine = machine_of(options)
    allocator.keep_memory()
    tuning.tune(
        find_suite(options),
        paths.writable(options.out),
        console,
        options.algorithms,
        options.datasets,
        machine,
        options.retry_failed,
        launcher_of(options),
    )
