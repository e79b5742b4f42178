"""``maml-bench speed --exactness``: asks, records, tabulates."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.base.errors import BenchError
from bench.checks.exactness import compare, table
from bench.checks.exactness.layers import LAYERS
from bench.checks.speed.measure import Contestant
from bench.results import readme_blocks


def run(
    contestants: Sequence[Contestant], out: Path, readme: Path | None, console: Console
) -> None:
    """Who computes the right meta-gradient: a record for each, written as it is found.

    Without contestants, from the records there are.

    Raises:
        BenchError: if there are none.
    """

    def say(words: str) -> None:
        console.print(words, style="dim", highlight=False)

    made = []
    for contestant in contestants:
        made.append(compare.record(contestant, list(LAYERS.values()), say))
        console.print(f"wrote {table.write(out, made[-1])}", highlight=False)
    made = made or table.read_all(out)
    if not made:
        raise BenchError(
            f"no records under {out}/exactness: make some with maml-bench speed --exactness"
        )
    table.show(made, console)
    if readme:
        readme_blocks.refresh(readme, "exactness", table.markdown(table.read_all(out)))
