"""Proves that several devices give what one gives."""

import argparse

from rich.console import Console

HELP = "prove that several devices give what one gives"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    command.add_argument("--devices", type=int, default=2, help="how many to compare with one")
    command.add_argument("--accelerator", default="cpu", help="cpu (processes) or gpu")


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    from bench.checks import device_check

    with console.status(f"{options.devices} devices and one: every algorithm, about a minute"):
        verdicts = device_check.check(options.devices, options.accelerator)
    device_check.show(verdicts, options.devices, console)
    device_check.conclude(verdicts, options.devices)
