"""Runs a suite and prints its table."""

import argparse

from rich.console import Console

from bench.base import registry
from bench.cli.commands._grid import find_suite, grid_flags, launcher_of, machine_of, setting
from bench.running.tuned_values import TunedValues

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
        "ALGORITHM.NAME=VALUE or DATASET.NAME=VALUE of one alone",
    )
    for split in ("train", "test"):
        command.add_argument(
            f"--{split}-datasets",
            nargs="+",
            metavar="SOURCE",
            help=f"of Meta-Dataset: {split} on these sources",
        )
    command.add_argument(
        "--untuned",
        action="store_true",
        help="with the suite's own values, not those of tune",
    )
    command.add_argument(
        "--keep-predictions",
        action="store_true",
        help="keep what is predicted of each test query beside the records, from which table makes "
        "confusion by class and calibration",
    )
    command.add_argument("--dry-run", action="store_true", help="print the plan and stop")


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    from bench.base import allocator, paths
    from bench.running import grid, time_left

    suite = find_suite(options)
    if not options.dry_run:
        paths.writable(options.out)
    settings = dict(setting(text) for text in options.set)
    for name in ("train_datasets", "test_datasets"):
        if given := getattr(options, name):
            settings[name] = [source for text in given for source in text.split(",") if source]
    tuned = None if options.untuned else TunedValues(suite.name, options.out)
    experiments = suite.experiments(
        options.algorithms,
        options.datasets,
        options.ways,
        options.shots,
        options.seeds,
        settings,
        tuned,
    )
    for note in tuned.notes() if tuned else ():
        console.print(note, markup=False, highlight=False)
    if options.dry_run:
        machine_of(options)
        registry.declaration("launchers", options.launcher)
        wishes = options.retry_failed, options.keep_predictions
        to_do = grid.plan(experiments, options.out, console, *wishes)
        grid.check_elsewhere(to_do)
        for line in filter(None, (suite.description, time_left.by_records(to_do, options.out))):
            console.print(line, markup=False, highlight=False)
        return
    machine, launcher = machine_of(options), launcher_of(options, len(experiments))
    allocator.keep_memory()
    wishes = options.retry_failed, launcher, options.keep_predictions
    grid.run(experiments, options.out, console, machine, *wishes)
