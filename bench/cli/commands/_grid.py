"""What the commands that run grids share."""

import argparse
import ast
from pathlib import Path

from bench.base import outside, registry
from bench.base.errors import BenchError
from bench.running import suite_files
from bench.running.machine import Machine
from bench.running.suite import Suite
from bench.running.workers import Launcher

EXAMPLES = {
    "--set": "--set inner_lr=0.5",
    "--launcher-options": "--launcher-options slurm_partition=gpu",
}


def grid_flags(command: argparse.ArgumentParser) -> None:
    """Declares which part of a suite runs, where, and where its records go."""
    command.add_argument(
        "suite",
        metavar="SUITE",
        help="see maml-bench list suites; or a file: YAML, or Python that defines SUITE",
    )
    for kind in ("algorithms", "datasets"):
        command.add_argument(
            f"--{kind}",
            nargs="+",
            metavar="NAME",
            help="only these; also your own: path/to/file.py or package.module:Class",
        )
    place_flags(command)
    command.add_argument(
        "--devices", help="how many of each node, as in Lightning; 1, or as torchrun has it"
    )
    command.add_argument("--num-nodes", type=int, help="machines that do each run together")


def place_flags(command: argparse.ArgumentParser) -> None:
    """Declares where runs take place, and where their records go."""
    command.add_argument(
        "--out", type=Path, default=Path("results"), help="folder for records, tables and figures"
    )
    command.add_argument("--data-root", type=Path, help="folder of prepared data")
    command.add_argument(
        "--jobs",
        type=int,
        help="runs at a time, each on its share of the cores; by default as many as this machine "
        "serves best",
    )
    command.add_argument(
        "--launcher",
        default="local",
        metavar="NAME",
        help="who does the runs: local (processes of this machine), ray (an existing Ray cluster) "
        "or slurm (a job array); --out must be a folder that all machines share",
    )
    command.add_argument(
        "--launcher-options",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="ray: address, num_cpus, num_gpus, ...; slurm: what submitit takes, such as "
        "timeout_min, cpus_per_task, gpus_per_node, mem_gb, slurm_partition",
    )
    command.add_argument(
        "--retry-failed", action="store_true", help="try what has failed before again"
    )
    command.add_argument(
        "--logger",
        metavar="NAME",
        help="follow the trainings by csv, tensorboard, wandb or mlflow, under logs in --out",
    )
    command.add_argument("--accelerator", default="auto", help="cpu, gpu or auto")
    command.add_argument(
        "--checkpoint-every",
        type=float,
        default=Machine.checkpoint_every,
        metavar="SECONDS",
        help="what a kill may cost of training; an interrupted run goes on from there",
    )


def find_suite(options: argparse.Namespace) -> Suite:
    """The suite to run; what the flags name of the user's own is known to it.

    Raises:
        BenchError: if there is none, or what is wrong with it.
    """
    for kind, given in (("algorithms", options.algorithms), ("data", options.datasets)):
        for name in given or ():
            registry.add(kind, name)
    return suite_files.find(options.suite)


def outside_flags(command: argparse.ArgumentParser) -> None:
    """Declares where the code lies that a record or a checkpoint needs and never loads itself."""
    for kind in registry.BY_USERS:
        command.add_argument(
            f"--{kind}",
            nargs="+",
            default=[],
            metavar="PLACE",
            help="code of your own that it was made with: path/to/file.py or package.module:Class",
        )


def add_outside(options: argparse.Namespace) -> None:
    """Makes the code known that :func:`outside_flags` let the user name.

    Raises:
        BenchError: if there is no such file or class.
    """
    for kind in registry.BY_USERS:
        for place in getattr(options, kind):
            registry.add(kind, place)


def machine_of(options: argparse.Namespace) -> Machine:
    """The devices and folders that the flags name.

    Raises:
        BenchError: for an impossible number of machines, or time between two checkpoints.
    """
    from bench.running import loggers, ranks

    loggers.check(options.logger)
    if not 0 < options.checkpoint_every < float("inf"):
        raise BenchError(f"--checkpoint-every {options.checkpoint_every}: give seconds above 0")
    devices, nodes = ranks.torchrun_devices()
    if options.devices is not None:
        number = options.devices.isascii() and options.devices.isdigit()
        devices = int(options.devices) if number else options.devices
    if options.num_nodes is not None:
        nodes = options.num_nodes
    if nodes < 1:
        raise BenchError(f"--num-nodes {nodes}: give 1 or more")
    return Machine(
        options.accelerator,
        devices,
        options.data_root,
        options.checkpoint_every,
        nodes,
        options.logger,
    )


def launcher_of(options: argparse.Namespace, runs: int | None = None) -> Launcher | None:
    """Where the workers come from; None if this process is to do all runs.

    Args:
        options: of the command line.
        runs: how many there are, if that is known: a single one is done here, where its progress
            is shown.

    Raises:
        BenchError: for a launcher or an option that there is not.
    """
    if options.jobs is not None and options.jobs < 1:
        raise BenchError(f"--jobs {options.jobs}: give 1 or more")
    cls = registry.load("launchers", options.launcher)
    given = dict(setting(text, "--launcher-options") for text in options.launcher_options)
    machine = machine_of(options)
    if options.launcher == "local" and not given:
        together = machine.devices not in (1, "1") or machine.nodes != 1
        alone = together or runs == 1 or cls.usual(machine) == 1
        if options.jobs == 1 or (options.jobs is None and alone):
            return None
    if machine.devices not in (1, "1") or machine.nodes != 1:
        raise BenchError(
            f"--devices {machine.devices}, --num-nodes {machine.nodes}: workers use one device "
            "each; leave --launcher and --jobs out to run one after the other on several devices"
        )
    return cls(options.jobs, machine, given)


def setting(text: str, flag: str = "--set") -> tuple[str, object]:
    """Reads ``name=value``, given with a flag; a value that is no Python literal is a word.

    >>> setting("maml.inner_lr=0.5"), setting("batch_norm=support")
    (('maml.inner_lr', 0.5), ('batch_norm', 'support'))
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BenchError(f"{flag} {text}: write NAME=VALUE, such as {EXAMPLES[flag]}")
    if name.rpartition(".")[2] == "model" and outside.is_place(value):
        return name, registry.add("models", value)
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return name, value
