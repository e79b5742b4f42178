"""Makes a data set ready for use."""

import argparse
import inspect
from pathlib import Path

from rich.console import Console

from bench.base import registry
from bench.base.errors import BenchError

HELP = "make a data set ready for use"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    command.add_argument("dataset", metavar="DATASET")
    command.add_argument("--source", type=Path, help="folder or archive; without it: download")
    command.add_argument(
        "--from",
        dest="origin",
        metavar="NAME",
        help="of meta_dataset: what PATH holds, a data set or a folder of class folders",
    )
    command.add_argument("--data-root", type=Path, help="folder of prepared data")


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    import importlib

    from bench.base import paths

    name = options.dataset.replace("-", "_")
    registry.load("data", name)
    module = importlib.import_module(f"bench.data.{name}")
    if not hasattr(module, "prepare"):
        console.print(f"{name} is built in: there is nothing to prepare")
        return
    takes = inspect.signature(module.prepare).parameters
    if options.origin is not None and "origin" not in takes:
        raise BenchError(f"--from {options.origin}: is for meta_dataset alone; leave it out")
    origin = {"origin": options.origin} if "origin" in takes else {}
    root = paths.data_root(options.data_root)
    console.print(module.prepare(options.source, root, **origin))
