"""The command line: parses, then calls; no logic of its own.

Heavy imports stay inside the commands, so that ``--help`` and mistakes are answered at once.
"""

import argparse
import ast
import os
import sys
from pathlib import Path

from rich.console import Console

from bench import __version__, registry
from bench.errors import BenchError, nearest
from bench.machine import Machine

LIGHTNING_COMMANDS = ("fit", "validate", "test", "predict")


def main(argv: list[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit code: 0, or 2 with one message on standard error for what the user can mend.
    """
    argv = sys.argv[1:] if argv is None else argv
    console = Console(width=None if sys.stdout.isatty() else 120, soft_wrap=False)
    try:
        if argv and argv[0] in LIGHTNING_COMMANDS:
            from bench.allocator import keep_memory
            from bench.lightning_cli import run_lightning

            keep_memory()
            run_lightning(argv)
            return 0
        options = parser().parse_args(argv)
        options.command(options, console)
    except BenchError as error:
        print(f"maml-bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("maml-bench: interrupted", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """All commands and their flags."""
    top = argparse.ArgumentParser(
        prog="maml-bench",
        description="First- against second-order MAML on images and on students.",
        epilog="fit, validate, test and predict are Lightning's own command line: "
        "maml-bench fit --help",
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a suite and print its table")
    run.set_defaults(command=run_command)
    _add_grid_flags(run)
    run.add_argument("--ways", nargs="+", type=int, help="instead of the suite's")
    run.add_argument("--shots", nargs="+", type=int, help="instead of the suite's")
    run.add_argument("--seeds", nargs="+", type=int, help="instead of the suite's")
    run.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the data set or the algorithms, or iterations; "
        "ALGORITHM.NAME=VALUE for one algorithm only",
    )
    run.add_argument("--dry-run", action="store_true", help="print the plan and stop")

    tune = commands.add_parser("tune", help="choose a suite's settings on validation episodes")
    tune.set_defaults(command=tune_command)
    _add_grid_flags(tune)

    table = commands.add_parser("table", help="make the table again from the records")
    table.set_defaults(command=table_command)
    table.add_argument("suite", nargs="?", metavar="SUITE", help="only this suite")
    table.add_argument("--out", type=Path, default=Path("results"), help="the results folder")
    table.add_argument(
        "--format", choices=("terminal", "markdown", "csv", "latex"), default="terminal"
    )
    table.add_argument("--readme", type=Path, help="file whose block of this table is refreshed")

    prepare = commands.add_parser("prepare", help="make a data set ready for use")
    prepare.set_defaults(command=prepare_command)
    prepare.add_argument("dataset", metavar="DATASET")
    prepare.add_argument("--source", type=Path, help="folder or archive; without it: download")
    prepare.add_argument("--data-root", type=Path, help="folder of prepared data")

    speed = commands.add_parser("speed", help="time this suite against its peers")
    speed.set_defaults(command=speed_command)
    speed.add_argument("--workload", nargs="+", default=None, help="omniglot, mini, student")
    speed.add_argument("--orders", nargs="+", type=int, choices=(1, 2), default=[2, 1])
    speed.add_argument("--tasks", type=int, help="tasks in a meta-batch, instead of the workload's")
    speed.add_argument("--inner-steps", type=int, help="instead of the workload's")
    speed.add_argument("--contestants", nargs="+", metavar="NAME", help="only these")
    speed.add_argument(
        "--peer-python",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=PYTHON",
        help="interpreter of a peer that lives in another environment",
    )
    speed.add_argument("--rounds", type=int, default=7, help="turns of each contestant")
    speed.add_argument(
        "--scaling", choices=("tasks", "inner_steps", "devices"), help="growth instead of peers"
    )
    speed.add_argument(
        "--table", action="store_true", help="make table and plot again from the records"
    )
    speed.add_argument(
        "--overhead", action="store_true", help="what data and Lightning add, instead of peers"
    )
    speed.add_argument("--out", type=Path, default=Path("results"), help="the results folder")
    speed.add_argument("--readme", type=Path, help="file whose block of these tables is refreshed")

    select = commands.add_parser("select", help="compare ways to choose a student's next question")
    select.set_defaults(command=select_command)
    select.add_argument(
        "--checkpoint",
        nargs="+",
        type=Path,
        required=True,
        metavar="FILE",
        help="of a suite run: results/checkpoints/KEY/best.ckpt; several make an ensemble",
    )
    select.add_argument(
        "--selection",
        nargs="+",
        default=["random", "fisher", "bayes"],
        metavar="POLICY",
        help="random, fisher, bayes",
    )
    select.add_argument(
        "--questions", nargs="+", type=int, default=[1, 3, 5, 10], help="after how many to predict"
    )
    select.add_argument("--students", type=int, help="test students, at most")
    select.add_argument("--seed", type=int, default=0, help="of the division of the questions")
    select.add_argument("--out", type=Path, default=Path("results"), help="the results folder")
    select.add_argument("--data-root", type=Path, help="folder of prepared data")

    student = commands.add_parser("student", help="what students master, and what to ask next")
    student.set_defaults(command=student_command)
    student.add_argument(
        "--checkpoint", nargs="+", type=Path, required=True, help="of a model of students"
    )
    student.add_argument("--answers", type=Path, required=True, help="file of students' answers")
    student.add_argument("--out", type=Path, default=Path("students"), help="folder for the report")
    student.add_argument(
        "--target",
        nargs=2,
        type=float,
        default=(0.6, 0.8),
        metavar=("LOW", "HIGH"),
        help="chance of success of questions to practise",
    )
    student.add_argument(
        "--mastery", type=float, default=0.8, help="chance of success above which is mastery"
    )
    student.add_argument("--certainty", type=float, default=0.9, help="of a verdict")
    student.add_argument("--questions", type=int, default=5, help="how many next questions to name")
    student.add_argument(
        "--unknown-items",
        choices=("refuse", "skip"),
        default="refuse",
        help="what to do about answers to questions that the checkpoint does not know",
    )
    student.add_argument(
        "--columns",
        nargs="+",
        action="extend",
        default=[],
        metavar="ROLE=NAME",
        help="unusual names of columns, such as user_id=learner item_id=exercise correct=right",
    )
    student.add_argument("--no-pictures", action="store_true", help="tables alone")

    listing = commands.add_parser("list", help="show algorithms, data sets, models and suites")
    listing.set_defaults(command=list_command)
    listing.add_argument("kind", nargs="?", choices=registry.KINDS)

    for name in LIGHTNING_COMMANDS:
        commands.add_parser(name, help=f"Lightning's own command line: {name}", add_help=False)
    return top


def _add_grid_flags(command: argparse.ArgumentParser) -> None:
    command.add_argument("suite", metavar="SUITE", help="see maml-bench list suites")
    command.add_argument("--algorithms", nargs="+", metavar="NAME", help="only these")
    command.add_argument("--datasets", nargs="+", metavar="NAME", help="only these")
    command.add_argument(
        "--out", type=Path, default=Path("results"), help="folder for records, tables and figures"
    )
    command.add_argument("--data-root", type=Path, help="folder of prepared data")
    command.add_argument("--devices", default="1", help="how many devices, as in Lightning")
    command.add_argument("--accelerator", default="auto", help="cpu, gpu or auto")


def run_command(options: argparse.Namespace, console: Console) -> None:
    """``maml-bench run``."""
    suite = registry.load("suites", options.suite)
    experiments = suite.experiments(
        options.algorithms,
        options.datasets,
        options.ways,
        options.shots,
        options.seeds,
        dict(setting(text) for text in options.set),
    )
    from bench import allocator, paths, runner

    if options.dry_run:
        runner.plan(experiments, options.out, console)
        return
    allocator.keep_memory()
    runner.run(experiments, paths.writable(options.out), console, _machine(options))


def tune_command(options: argparse.Namespace, console: Console) -> None:
    """``maml-bench tune``."""
    from bench import allocator, paths, tuning

    allocator.keep_memory()
    tuning.tune(
        registry.load("suites", options.suite),
        paths.writable(options.out),
        console,
        options.algorithms,
        options.datasets,
        _machine(options),
    )


def table_command(options: argparse.Namespace, console: Console) -> None:
    """``maml-bench table``."""
    from bench import records, runner, tables

    found = records.read_all(options.out)
    suites = sorted(
        s for s in {r["experiment"]["suite"] for r in found} if not s.endswith("-tuning")
    )
    if options.suite:
        name = options.suite.replace("_", "-")
        if suites and name not in suites:
            raise BenchError(f"no records of suite {name!r}: {nearest(name, suites)}")
        suites = [name] if suites else []
    if not suites:
        raise BenchError(f"no records under {options.out}: make some with maml-bench run SUITE")
    if options.format == "csv":  # one header, however many suites
        print(tables.to_csv([r for r in found if r["experiment"]["suite"] in suites]), end="")
    for suite in suites:
        part = [r for r in found if r["experiment"]["suite"] == suite]
        if options.format == "terminal":
            runner.report(suite, options.out, console)
        elif options.format != "csv":
            print(getattr(tables, f"to_{options.format}")(part))
        if options.readme:
            tables.refresh_readme(options.readme, suite, tables.to_markdown(part, brief=True))


def prepare_command(options: argparse.Namespace, console: Console) -> None:
    """``maml-bench prepare``."""
    import importlib

    from bench import paths

    name = options.dataset.replace("-", "_")
    registry.load("data", name)
    module = importlib.import_module(f"bench.data.{name}")
    if not hasattr(module, "prepare"):
        console.print(f"{name} is built in: there is nothing to prepare")
        return
    console.print(module.prepare(options.source, paths.data_root(options.data_root)))


def speed_command(options: argparse.Namespace, console: Console) -> None:
    """``maml-bench speed``."""
    from bench import paths
    from bench.speed import command, measure
    from bench.speed.workloads import WORKLOADS

    if options.rounds < 1:
        raise BenchError(f"--rounds {options.rounds}: give at least 1")
    names = options.workload or list(WORKLOADS)
    chosen = [command.workload(n, options.tasks, options.inner_steps) for n in names]
    out = paths.writable(options.out)
    if options.table:
        command.finish(out, options.readme, console)
        return
    if options.overhead:
        command.overhead(options.rounds, out, console)
        return
    if options.scaling:
        for one in chosen:
            command.grow(one, options.scaling, options.rounds, out, console)
        return
    given = command.peers(options.peer_python)
    contestants = measure.field_of(given, options.contestants, console.print)
    command.compare(chosen, options.orders, contestants, options.rounds, out, console)
    command.finish(out, options.readme, console)


def select_command(options: argparse.Namespace, console: Console) -> None:
    """``maml-bench select``."""
    from bench import paths
    from bench.students.selection_report import select

    select(
        options.checkpoint,
        options.selection,
        options.questions,
        options.students,
        options.seed,
        paths.writable(options.out),
        options.data_root,
        console,
    )


def student_command(options: argparse.Namespace, console: Console) -> None:
    """``maml-bench student``."""
    from bench.students import tutor
    from bench.students.assessment import Settings

    roles = [text.partition("=") for text in options.columns]
    for role, equals, name in roles:
        if not (role and equals and name):
            raise BenchError(f"--columns {role}: write ROLE=NAME, such as user_id=learner")
    tutor.report(
        options.checkpoint,
        options.answers,
        options.out,
        Settings(tuple(options.target), options.mastery, options.certainty, options.questions),
        console,
        {role: name for role, _, name in roles},
        options.unknown_items == "skip",
        not options.no_pictures,
    )


def list_command(options: argparse.Namespace, console: Console) -> None:
    """``maml-bench list``."""
    from rich.table import Table

    for kind in [options.kind] if options.kind else registry.KINDS:
        table = Table(title=kind, title_justify="left", box=None, show_header=False)
        table.add_column(no_wrap=True, style="bold")
        table.add_column()
        for name in registry.names(kind):
            thing = registry.load(kind, name)
            about = thing.description if kind == "suites" else sys.modules[thing.__module__].__doc__
            made_up = " [dim](synthetic)[/dim]" if getattr(thing, "synthetic", False) else ""
            table.add_row(name, about.split("\n")[0] + made_up)
        console.print(table)


def setting(text: str) -> tuple[str, object]:
    """Reads ``name=value``; a value that is no Python literal is a word.

    >>> setting("maml.inner_lr=0.5"), setting("batch_norm=support")
    (('maml.inner_lr', 0.5), ('batch_norm', 'support'))
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BenchError(f"--set {text}: write NAME=VALUE, such as --set inner_lr=0.5")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def _machine(options: argparse.Namespace) -> Machine:
    devices = int(options.devices) if options.devices.isdigit() else options.devices
    return Machine(options.accelerator, devices, options.data_root)
