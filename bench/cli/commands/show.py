"""Shows what a suite consists of, as a table or as a file to start from."""

import argparse

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.running import suite_files
from bench.running.suite import Suite

HELP = "show a suite: its studies, or a YAML file to start from"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    command.add_argument("suite", metavar="SUITE", help="a name, or a file: Python or YAML")
    command.add_argument("--format", choices=("table", "yaml"), default="table")


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    suite = suite_files.find(options.suite)
    if options.format == "yaml":
        print(suite_files.to_yaml(suite), end="")
    else:
        console.print(table(suite))


def table(suite: Suite) -> Table:
    """Its studies, a row each."""
    found = Table(title=f"{suite.name}: {escape(suite.description)}", title_justify="left")
    for name in ("data set", "ways", "shots", "iterations", "algorithms", "seeds"):
        found.add_column(name)
    for study in suite.studies:
        found.add_row(
            study.dataset,
            _listed(study.ways),
            _listed(study.shots),
            f"{study.iterations:,}",
            ", ".join(study.algorithms),
            _listed(suite.seeds_of(study)),
        )
    return found


def _listed(numbers: tuple[int | None, ...]) -> str:
    return ", ".join("varying" if n is None else str(n) for n in numbers) or "-"
