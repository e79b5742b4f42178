"""Runs a suite and prints its table."""

import argparse

from rich.console import Console

from bench.cli.commands._grid import find_suite, grid_flags, launcher_of, machine_of, setting

HELP = "run a suite and print its table"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    grid_flags(command)
    command.add_argument("--ways", nargs="+", type=int, help="instead of the suite's")
    command.add_argument("--shots", nargs="+", type=int, help="instead of the suite's")
    command.add_argument("--seeds", nargs="+", type=int, help="instead of the suite's")
    command.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the data set or the algorithms, or iterations; "
        "ALGORITHM.NAME=VALUE for one algorithm only",
    )
    for split in ("train", "test"):
        command.add_argument(
            f"--{split}-datasets",
            nargs="+",
            metavar="SOURCE",
            help=f"of Meta-Dataset: {split} on these sources",
        )
    command.add_argument("--dry-run", action="store_true", help="print the plan and stop")


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    suite = find_suite(options)
    settings = dict(setting(text) for text in options.set)
    for name in ("train_datasets", "test_datasets"):
        if given := getattr(options, name):
            settings[name] = [source for text in given for source in text.split(",") if source]
    experiments = suite.experiments(
        options.algorithms,
        options.datasets,
        options.ways,
        options.shots,
        options.seeds,
        settings,
    )
    from bench.base import allocator, paths
    from bench.running import grid

    if options.dry_run:
        grid.check_elsewhere(grid.plan(experiments, options.out, console, options.retry_failed))
        return
    out, machine = paths.writable(options.out), machine_of(options)
    launcher = launcher_of(options, len(experiments))
    allocator.keep_memory()
    grid.run(experiments, out, console, machine, options.retry_failed, launcher)
