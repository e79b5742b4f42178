"""Makes a data set ready for use."""

import argparse
from pathlib import Path

from rich.console import Console

from bench import registry

HELP = "make a data set ready for use"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    command.add_argument("dataset", metavar="DATASET")
    command.add_argument("--source", type=Path, help="folder or archive; without it: download")
    command.add_argument("--data-root", type=Path, help="folder of prepared data")


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    import importlib

    from bench import paths

    name = options.dataset.replace("-", "_")
    registry.load("data", name)
    module = importlib.import_module(f"bench.data.{name}")
    if not hasattr(module, "prepare"):
        console.print(f"{name} is built in: there is nothing to prepare")
        return
    console.print(module.prepare(options.source, paths.data_root(options.data_root)))
