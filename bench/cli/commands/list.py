"""Shows algorithms, data sets, models and suites."""

import argparse
import re
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.base import declarations, paths, registry

HELP = "show algorithms, data sets, models and suites"
ALIAS = {"datasets": "data"}
FACT = re.compile(r"\| ([A-Z][^|]*?) \| (.*) \|")


def flags(command: argparse.ArgumentParser) -> None:
    """Declares its flags."""
    command.add_argument("kind", nargs="?", choices=[*registry.KINDS, *ALIAS])
    command.add_argument(
        "-v", "--verbose", action="store_true", help="data sets with the facts of their cards"
    )
    command.add_argument("--data-root", type=Path, help="folder of prepared data")


def run(options: argparse.Namespace, console: Console) -> None:
    """Carries it out."""
    wanted = ALIAS.get(options.kind, options.kind)
    for kind in [wanted] if wanted else registry.KINDS:
        table = Table(title=kind, title_justify="left", box=None, show_header=False)
        table.add_column(no_wrap=True, style="bold")
        table.add_column()
        for name in registry.names(kind):
            made_up = kind == "data" and registry.declaration(kind, name).attributes["synthetic"]
            note = " [dim](synthetic)[/dim]" if made_up else ""
            table.add_row(name, escape(about(kind, name)) + note)
            if kind == "data" and options.verbose:
                for fact, value in [*facts(name), ("Here", ready(name, options.data_root))]:
                    table.add_row("", f"[dim]{fact}:[/dim] {escape(value)}")
        console.print(table)


def about(kind: str, name: str) -> str:
    """One line on a plug-in; nothing is imported for it but suites."""
    if kind == "suites":
        return registry.load(kind, name).description
    return declarations.docstring(registry.module_name(kind, name)).split("\n")[0]


def facts(dataset: str) -> list[tuple[str, str]]:
    """What the table of a card says, such as ``("Licence", "MIT")``."""
    card = (paths.facts(dataset) / "README.md").read_text(encoding="utf-8")
    head = card.split("\n## ")[0]
    return [(m[1], m[2].replace("**", "")) for m in map(FACT.fullmatch, head.splitlines()) if m]


def ready(dataset: str, data_root: Path | None) -> str:
    """Whether a data set can be used on this machine, and if not, what to do."""
    module = registry.module_name("data", dataset)
    if not declarations.defines(module, "prepare"):
        return "ready, nothing to prepare"
    root = paths.data_root(data_root)
    # a file, or a folder of sources, of which those that are hidden are not finished
    specs_file = declarations.constant("bench.data.images.meta_dataset_spec", "FILE")
    finished = (f"{dataset}.*", f"{dataset}/[!.]*/{specs_file}")
    if any(path for pattern in finished for path in root.glob(pattern)):
        return f"ready, prepared in {root}"
    usual = f"maml-bench prepare {dataset} --source PATH"
    return f"not prepared: {declarations.constant(module, 'PREPARE', usual)}"
