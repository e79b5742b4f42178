"""What tuning has found, as tables: the best values, and how the best depends on the trials."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.results.tables import escaped, figure, markdown
from bench.results.tuned import Row, expected_best

CAPTION = (
    "Scores are means over validation episodes, of the best weights of a short run. Best of n: the "
    "score to expect of the best of n of these trials (Dodge et al. 2019, without bias). * The "
    "best value lies at an end of its range: more may help."
)


def counts(rows: Sequence[Row]) -> list[int]:
    """The numbers of trials that a table shows: 1, 2, 4, ... and the largest there is."""
    most = max(row.trials for row in rows)
    return [*(2**i for i in range(most.bit_length()) if 2**i < most), most]


def lines(rows: Sequence[Row]) -> list[dict[str, str]]:
    """One line a row, one entry a heading."""
    found = []
    for row in rows:
        expected = expected_best(row.scores, row.higher_is_better)
        star = {n: "*" if n in row.at_edge else "" for n in row.best}
        values = ", ".join(f"{n}={v}{star[n]}" for n, v in row.best.items())
        best = {
            f"Best of {n}": figure(row.metric, expected[n - 1]) if n <= row.trials else ""
            for n in counts(rows)
        }
        found.append(
            {
                "Data": row.dataset,
                "Setting": row.setting,
                "Algorithm": row.label,
                "Metric": row.metric.replace("_", " "),
                **best,
                "Best values": values,
            }
        )
    return found


def notes(rows: Sequence[Row]) -> list[str]:
    """What has to be known of the rows, in words."""
    found = []
    for row in rows:
        for name in row.at_edge:
            found.append(
                f"{row.dataset} {row.setting}, {row.label}: {name}={row.best[name]} is at the edge "
                f"of {_range(row.space[name])}; the best may lie beyond"
            )
        if missing := row.scores.count(None):
            found.append(
                f"{row.dataset} {row.setting}, {row.label}: {missing} of {row.trials} trials "
                "diverged, and count as the worst"
            )
    budgets = sorted({(row.trials, row.iterations) for row in rows if row.iterations})
    for dataset in dict.fromkeys(row.dataset for row in rows):
        budgets = {(r.trials, r.iterations) for r in rows if r.dataset == dataset and r.iterations}
        if len(budgets) > 1:
            words = " and ".join(f"{n} trials of {i} iterations" for n, i in sorted(budgets))
            found.append(f"{dataset}: not all had the same budget, but {words}: tune all alike")
    return found


def _range(space: list) -> str:
    scale, *values = space
    if scale == "choice":
        return f"the candidates {', '.join(map(str, values))}"
    return f"{values[0]} to {values[1]}"


def to_markdown(rows: Sequence[Row], suite: str) -> str:
    """A GitHub table with its caption and notes."""
    import pandas as pd

    title = f"Tuning of suite {suite}: {trials_in_words(rows)}."
    below = escaped("\n".join(f"* {note}" for note in notes(rows)))
    parts = [title, markdown(pd.DataFrame(lines(rows))), CAPTION, below]
    return "\n\n".join(part for part in parts if part) + "\n"


def trials_in_words(rows: Sequence[Row]) -> str:
    """How many trials there were of each row.

    >>> trials_in_words([])
    'no trials'
    """
    numbers = sorted({row.trials for row in rows})
    if not numbers:
        return "no trials"
    return f"{' or '.join(map(str, numbers))} trials of each algorithm"


def print_rich(rows: Sequence[Row], suite: str, console: Console) -> None:
    """Prints the table of each data set, and the notes below."""
    for dataset in dict.fromkeys((row.dataset, row.setting) for row in rows):
        own = [row for row in rows if (row.dataset, row.setting) == dataset]
        metric, better = own[0].metric, "higher" if own[0].higher_is_better else "lower"
        grid = Table(
            title=Text(
                f"{suite}, {' '.join(dataset)}: {metric} on validation episodes, {better} is "
                f"better; best of n trials",
                style="bold",
            ),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
        )
        grid.add_column("")
        for n in counts(own):
            grid.add_column(str(n), justify="right")
        grid.add_column("best values", ratio=1)
        for line in lines(own):
            best = [line[f"Best of {n}"] for n in counts(own)]
            grid.add_row(line["Algorithm"], *best, line["Best values"])
        console.print(grid)
    for note in notes(rows):
        console.print(note, style="yellow", markup=False, highlight=False)
