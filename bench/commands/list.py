"""Shows algorithms, data sets, models and suites."""

import argparse
import sys

from rich.console import Console

from bench import registry

HELP = "show algorithms, data sets, models and suites"


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    command.add_argument("kind", nargs="?", choices=registry.KINDS)


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
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
