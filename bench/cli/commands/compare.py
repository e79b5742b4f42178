"""Says which method predicts best on data of one's own, and leaves a model to use."""

import argparse

from rich.console import Console

from bench.base.option_text import of_flag, typed_as
from bench.cli.commands._columns import columns_flag, columns_of
from bench.cli.commands._grid import launcher_of, machine_of, place_flags

HELP = "say which method predicts best on your own answers or images, and train it"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    command.add_argument(
        "source",
        nargs="+",
        metavar="SOURCE",
        help="a file of answers, several or a folder of them; a folder with a folder of images for "
        "each class; or a data set by name",
    )
    command.add_argument(
        "--budget",
        type=float,
        default=10.0,
        metavar="MINUTES",
        help="what it may take: it sets how many methods, trials and iterations there are",
    )
    command.add_argument(
        "--methods",
        "--algorithms",
        nargs="+",
        metavar="NAME",
        help="only these; also your own: path/to/file.py or package.module:Class",
    )
    command.add_argument(
        "--shots", nargs="+", type=int, help="answers shown; of images, examples of a class"
    )
    command.add_argument("--ways", type=int, help="of images, classes to choose from")
    columns_flag(command)
    command.add_argument("--q-matrix", metavar="FILE", help="which item asks for which skill")
    place_flags(command)
    command.set_defaults(devices=None, num_nodes=None)  # small runs: a device each
    command.add_argument("--dry-run", action="store_true", help="print the plan and stop")


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    from bench.base import allocator, paths
    from bench.data.students.recorded import notes_are_printed
    from bench.running.comparison import comparing, planning, reading

    columns = columns_of(options)
    paths.writable(options.out)
    with notes_are_printed(), typed_as(of_flag):
        source = reading.read(
            options.source,
            options.out,
            options.data_root,
            options.ways,
            options.shots,
            columns,
            options.q_matrix,
            packs=not options.dry_run,
        )
    options.data_root = source.data_root
    machine = machine_of(options)
    workers = launcher_of(options)
    at_once = 1 if workers is None else workers.at_once or 1
    plan = planning.plan(source, options.budget, at_once, options.methods)
    for sentence in (*source.said, *plan.sentences()):
        console.print(sentence, markup=False, highlight=False)
    if options.dry_run:
        return
    allocator.keep_memory()
    with notes_are_printed():  # above
        comparing.run(
            comparing.Comparison(source, plan, options.out, machine),
            console,
            lambda runs: launcher_of(options, runs),
            options.retry_failed,
        )
