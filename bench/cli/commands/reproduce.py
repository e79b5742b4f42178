"""Runs a record again and says whether the same came out."""

import argparse
from pathlib import Path

from rich.console import Console

from bench.base.errors import BenchError
from bench.cli.commands._grid import add_outside, outside_flags
from bench.running.machine import Machine

HELP = "run a record again and compare; exit code 1 if something else comes out"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    command.add_argument("record", type=Path, metavar="RECORD.json")
    outside_flags(command)
    command.add_argument("--data-root", type=Path, help="folder of prepared data")
    command.add_argument(
        "--weights", type=Path, help="file of weights that it started from, if it did"
    )
    command.add_argument("--accelerator", default="auto", help="cpu, gpu or auto")
    command.add_argument(
        "--devices",
        type=int,
        help="how many to run it on; 1, or as torchrun has it. A record of several needs it",
    )


def run(options: argparse.Namespace, console: Console) -> int:
    """Carries it out.

    Returns:
        0 if all is equal, otherwise 1.
    """
    from bench.base import allocator
    from bench.checks import reproducing
    from bench.running import ranks

    devices, nodes = ranks.torchrun_devices()
    if options.devices is not None:
        devices = options.devices
    elif (devices, nodes) == (1, 1):
        reproducing.check_devices(options.record)
    if devices < 1:
        raise BenchError(f"--devices {devices}: give 1 or more")
    add_outside(options)
    allocator.keep_memory()
    machine = Machine(options.accelerator, devices, options.data_root, nodes=nodes)
    found = reproducing.run_again(options.record, machine, console, options.weights)
    if found is None:  # one of several devices, of which the first reports
        return 0
    first, second = found
    compared = reproducing.compare(first, second)
    reproducing.show(first, second, compared, console)
    return 0 if all(part.equal for part in compared) else 1
