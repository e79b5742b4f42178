"""Times this suite against its peers."""

import argparse
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bench.base.errors import BenchError

HELP = "time this suite against its peers"
ELSEWHERE = ("scaling", "overhead", "episodes", "evaluation", "exactness")  # on a processor


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    command.add_argument("--workload", nargs="+", default=None, help="omniglot, mini, student")
    command.add_argument("--orders", nargs="+", type=int, choices=(1, 2), default=[2, 1])
    command.add_argument("--tasks", type=int, help="in a meta-batch, instead of the workload's")
    command.add_argument("--inner-steps", type=int, help="instead of the workload's")
    command.add_argument("--contestants", nargs="+", metavar="NAME", help="only these")
    command.add_argument(
        "--peer-python",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=PYTHON",
        help="interpreter of a peer that lives in another environment",
    )
    command.add_argument(
        "--accelerator",
        choices=("cpu", "gpu"),
        default="cpu",
        help="what the contestants, or --precision, run on",
    )
    command.add_argument("--rounds", type=int, default=7, help="turns of each contestant")
    instead = command.add_mutually_exclusive_group()
    instead.add_argument(
        "--scaling",
        choices=("tasks", "inner_steps", "cores", "devices"),
        help="growth instead of peers",
    )
    command.add_argument(
        "--table", action="store_true", help="make table and plot again from the records"
    )
    instead.add_argument(
        "--overhead", action="store_true", help="what data and Lightning add, instead of peers"
    )
    instead.add_argument(
        "--episodes", action="store_true", help="loading a cache and assembling image episodes"
    )
    instead.add_argument(
        "--evaluation", action="store_true", help="evaluating tasks, beside training on them"
    )
    instead.add_argument(
        "--exactness", action="store_true", help="who computes the right meta-gradient, by layer"
    )
    instead.add_argument(
        "--precision",
        action="store_true",
        help="errors of the meta-gradient in float32 and mixed precision, by method and network",
    )
    command.add_argument("--out", type=Path, default=Path("results"), help="the results folder")
    command.add_argument("--readme", type=Path, help="file whose block of tables is refreshed")


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    from bench.base import paths
    from bench.checks.exactness import command as exactness
    from bench.checks.exactness import precision
    from bench.checks.speed import command, measure
    from bench.checks.speed.workloads import WORKLOADS
    from bench.results import readme_blocks

    if options.rounds < 1:
        raise BenchError(f"--rounds {options.rounds}: give at least 1")
    names = options.workload or list(WORKLOADS)
    chosen = [command.workload(n, options.tasks, options.inner_steps) for n in names]
    chosen = [replace(w, accelerator=options.accelerator) for w in chosen]
    if options.accelerator == "gpu" and not options.table:
        command.require_gpu([o for o in ELSEWHERE if getattr(options, o)])
    out = paths.writable(options.out)
    if options.readme:
        kinds = [name for name in ("precision", "exactness") if getattr(options, name)]
        readme_blocks.check(options.readme, [*kinds, "speed"][0])
    if options.precision:
        measures, accelerator = not options.table, options.accelerator
        precision.run(out, options.readme, measures, console, accelerator)
        return
    if options.table and options.exactness:
        exactness.run([], out, options.readme, console)
        return
    if options.table:
        command.finish(out, options.readme, console)
        return
    if options.overhead:
        command.overhead(options.rounds, out, console)
        return
    if options.evaluation:
        command.evaluation(chosen, options.rounds, out, console)
        return
    if options.episodes:
        command.episodes(options.rounds, out, console)
        return
    if options.scaling:
        for one in chosen:
            command.grow(one, options.scaling, options.rounds, out, console)
        return
    given = command.peers(options.peer_python)
    contestants = measure.field_of(given, options.contestants, console.print)
    if options.exactness:
        exactness.run(contestants, out, options.readme, console)
        return
    command.compare(chosen, options.orders, contestants, options.rounds, out, console)
    command.finish(out, options.readme, console)
