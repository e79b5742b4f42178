"""Runs a record again and says whether the same came out."""

import argparse
from pathlib import Path

from rich.console import Console

from bench.running.machine import Machine

HELP = "run a record again and compare; exit code 1 if something else comes out"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    command.add_argument("record", type=Path, metavar="RECORD.json")
    command.add_argument("--data-root", type=Path, help="folder of prepared data")
    command.add_argument("--accelerator", default="auto", help="cpu, gpu or auto")


def run(options: argparse.Namespace, console: Console) -> int:
    """Carries it out.

    Returns:
        0 if all is equal, otherwise 1.
    """
    from bench.base import allocator
    from bench.checks import reproducing

    allocator.keep_memory()
    machine = Machine(options.accelerator, 1, options.data_root)
    found = reproducing.run_again(options.record, machine, console)
    if found is None:  # one of several devices, of which the first reports
        return 0
    first, second = found
    compared = reproducing.compare(first, second)
    reproducing.show(first, second, compared, console)
    return 0 if all(part.equal for part in compared) else 1
