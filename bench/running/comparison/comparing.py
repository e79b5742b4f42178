"""One command from data to an answer: ``compare`` tunes, trains and tests what is for the data.

A suite is made in memory (``planning.py``) for what was read (``reading.py``), run
as any suite is, and judged from its records (``results/verdict.py``).
"""

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from bench.base import paths
from bench.results import (
    failed,
    predictions,
    records,
    tuned,
    verdict,
    verdict_figure,
    verdict_words,
)
from bench.results.judged import Run
from bench.running import grid, tuning
from bench.running.comparison import final_model
from bench.running.comparison.planning import Plan
from bench.running.comparison.source import Source
from bench.running.experiment import Experiment
from bench.running.machine import Machine
from bench.running.tuned_values import TunedValues
from bench.running.workers import Launcher


class Comparison(NamedTuple):
    """What is compared, and where.

    Attributes:
        source: what was read.
        plan: what is run.
        out: the results folder.
        machine: where to run.
    """

    source: Source
    plan: Plan
    out: Path
    machine: Machine

    @property
    def report(self) -> Path:
        """The verdict, as a page; beside it, with ``.json``, its numbers."""
        return self.out / "compare" / f"{self.source.suite.removeprefix('compare-')}.md"


def run(
    comparison: Comparison,
    console: Console,
    launcher: Callable[[int], Launcher | None] = lambda runs: None,
    retry_failed: bool = False,
) -> dict[str, Any] | None:
    """Runs what is missing, and prints and writes the verdict.

    Args:
        comparison: what, and where.
        console: where progress and the verdict are printed.
        launcher: gives workers for so many runs; None: this process does all.
        retry_failed: whether to try what has failed before again.

    Returns:
        The numbers of the verdict. None in the processes of several devices that do not report.

    Raises:
        BenchError: if a run has failed; the verdict is on the others then.
        RunsLeft: if another process holds a run and has not finished it.
        Interrupted: after Ctrl-C or SIGTERM.
    """
    _, plan, out, machine = comparison
    suite, values, trials = plan.suite, None, []
    if plan.trials > 1:
        asked = tuning.searches(suite, plan.trials)
        count = sum(len(search.trials) for search in asked)
        chosen = tuning.choose(
            suite, asked, out, console, machine, retry_failed, launcher(count), brief=True
        )
        if chosen is None:
            return None
        _, trials = chosen
        _raise_left(trials, out)
        values = TunedValues(suite.name, out)
    experiments = suite.experiments(tuned=values)
    workers = launcher(len(experiments))
    if not grid.finish(
        experiments, out, console, machine, "test", retry_failed, workers, True, brief=True
    ):
        return None
    _raise_left(experiments, out)
    done = [e for e in experiments if e.files(out).is_recorded]
    if not done:
        grid.raise_unfinished(experiments, out)
    found = judge(comparison, done, console)
    grid.raise_unfinished([*experiments, *trials], out)
    return found


def _raise_left(experiments: Sequence[Experiment], out: Path) -> None:
    """A verdict waits for what other processes do, not for what has failed."""
    grid.raise_left(experiments, out, failed.read(out, (e.fields for e in experiments)))


def judge(comparison: Comparison, done: Sequence[Experiment], console: Console) -> dict[str, Any]:
    """Makes the verdict from the records of runs, prints it, and writes it with its tables.

    Raises:
        BenchError: if a file of a run is not what it should be, or a folder cannot be written to.
    """
    source, plan, out, _ = comparison
    read = [records.read(e.files(out).record) for e in done]
    runs = [Run(r, predictions.read(e.files(out).predictions)) for r, e in zip(read, done)]
    numbers = verdict.numbers(runs)
    chosen = next(
        m for m in numbers["methods"] if m["algorithm"] == numbers["recommended"]["method"]
    )
    checkpoint = Path(chosen["checkpoint"])
    if source.students:
        own = [e for e in done if e.algorithm == chosen["algorithm"]]
        console.print(f"training {chosen['label']} on all students", highlight=False)
        checkpoint = _final(comparison, own, chosen["iterations"], console).relative_to(out)
    numbers["recommended"]["checkpoint"] = str(checkpoint)
    said = [*source.said, *plan.sentences()]
    title = f"What predicts best: {source.name}"
    steps = _steps(comparison, checkpoint, chosen)  # paths of a page are those in its own folder
    text = verdict_words.markdown(numbers, title, said, steps)
    paths.write_text(comparison.report, text)
    as_json = comparison.report.with_suffix(".json")
    paths.write_text(as_json, json.dumps(numbers, indent=1) + "\n")
    grid.report(plan.suite.name, out, Console(quiet=True), read)
    verdict_figure.write(numbers, out / "figures" / f"{plan.suite.name}-verdict.png")
    _show(numbers, _steps(comparison, out / checkpoint, chosen), title, console)
    for path in (comparison.report, as_json):
        _say(console, f"wrote {path}")
    figures = sorted((out / "figures").glob(f"{plan.suite.name}-*.png"))
    _say(console, f"figures: {', '.join(map(str, figures))}; tables under {out / 'tables'}")
    return numbers


def _final(
    comparison: Comparison,
    folds: Sequence[Experiment],
    iterations: Sequence[int],
    console: Console,
) -> Path:
    """Trains the chosen method on all students."""
    _, plan, out, machine = comparison
    rows = []
    if plan.trials > 1:  # the file may hold those of another plan for the same answers
        found = tuned.read(tuned.path_in(out, plan.suite.name))
        trials = [
            plan.suite.first_trial(*cell).key for cell in plan.suite.cells([folds[0].algorithm])
        ]
        rows = [found[key] for key in trials if key in found]
    experiment = final_model.experiment_of(folds, iterations, rows)
    return final_model.train(experiment, out, machine, lambda text: _say(console, f"  {text}"))


def _steps(comparison: Comparison, checkpoint: Path, chosen: dict[str, Any]) -> list[str]:
    """Commands to go on with what was trained."""
    where = shlex.quote(str(checkpoint))
    if comparison.source.kind != "answers":
        return [
            f"maml-bench predict --checkpoint {where} --support FOLDER_OF_EXAMPLES --query IMAGES"
        ]
    steps = [f"maml-bench student --checkpoint {where} --answers ANSWERS.csv"]
    if chosen["algorithm"] not in verdict.BLIND:
        steps.insert(0, f"maml-bench tutor --checkpoint {where} --db class.sqlite")
    return steps


def _show(numbers: dict[str, Any], steps: Sequence[str], title: str, console: Console) -> None:
    """Prints the table and the verdict."""
    cells = verdict_words.table(numbers)
    shown = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for name in cells.columns:
        shown.add_column(name, no_wrap=name != "Method")
    for row in cells.itertuples(index=False):
        shown.add_row(*map(str, row))
    console.print(shown)
    _say(console, verdict_words.caption(numbers))
    for heading, text in verdict_words.sentences(numbers):
        console.print(f"\n[bold]{heading}[/bold]", highlight=False)
        _say(console, text.replace("**", ""))
    console.print("\n[bold]Go on with[/bold]")
    for step in steps:
        console.print(f"  {step}", markup=False, highlight=False, soft_wrap=True)


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False)
