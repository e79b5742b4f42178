"""Chooses hyper-parameters on validation episodes, with the same budget for every algorithm."""

import dataclasses
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from rich.console import Console
from rich.table import Table

from bench.base import paths, registry, spreadsheets
from bench.base.errors import BenchError
from bench.results import records
from bench.running import choices, grid
from bench.running.experiment import Experiment
from bench.running.machine import Machine
from bench.running.suite import Suite
from bench.running.workers import Launcher


class Trial(NamedTuple):
    """One candidate of a sweep.

    Attributes:
        experiment: a short run with the candidate's values.
        values: what is tried, argument name to value.
    """

    experiment: Experiment
    values: dict[str, Any]


def trials(
    suite: Suite, algorithms: Iterable[str] | None = None, datasets: Iterable[str] | None = None
) -> list[Trial]:
    """Every candidate of every algorithm that has the swept arguments.

    The candidates are those of the study's ``sweep``, each trained for ``sweep_iterations``,
    whatever an algorithm's own length in the suite.

    Args:
        suite: whose studies say what to sweep.
        algorithms: only these.
        datasets: only these.

    Raises:
        BenchError: for an unknown name, or if the suite sweeps nothing.
    """
    if not any(study.sweep for study in suite.studies):
        raise BenchError(f"suite {suite.name} has nothing to tune: no study in it has a sweep")
    suite.experiments(algorithms, datasets)  # says what is misspelt
    found = []
    for study in suite.studies:
        once = dataclasses.replace(study, repeats=study.repeats[:1])
        part = dataclasses.replace(suite, name=choices.tuning_of(suite.name), studies=(once,))
        if not study.sweep or (datasets and study.dataset not in datasets):
            continue
        for algorithm in algorithms or study.algorithms:
            takes = {
                *registry.option_names("algorithms", algorithm),
                *registry.option_names("data", study.dataset),
            }
            if not study.sweep.keys() <= takes:
                continue  # it does not have what is swept
            for candidate in itertools.product(*study.sweep.values()):
                values = dict(zip(study.sweep, candidate))
                settings = {f"{algorithm}.{n}": v for n, v in values.items()}
                settings["iterations"] = study.sweep_iterations
                for e in part.experiments([algorithm], settings=settings, seeds=suite.seeds[:1]):
                    tried = ", ".join(f"{n}={v}" for n, v in values.items())
                    e = dataclasses.replace(e, chosen=choices.TRIAL, remark=tried)
                    found.append(Trial(e, values))
    if not found:
        raise BenchError(f"nothing of suite {suite.name} has what it sweeps, with these flags")
    return found


def tune(
    suite: Suite,
    out: Path,
    console: Console,
    algorithms: Iterable[str] | None = None,
    datasets: Iterable[str] | None = None,
    machine: Machine | None = None,
    retry_failed: bool = False,
    launcher: Launcher | None = None,
) -> pd.DataFrame | None:
    """Runs the trials that are missing, prints them, and writes ``out/tuning/<suite>.csv``.

    Each trial is a record like any other, evaluated on validation episodes.

    Args:
        suite: whose settings to choose.
        out: the results folder.
        console: where progress and the table are printed.
        algorithms: only these.
        datasets: only these.
        machine: where to run; None: this machine's usual device and folder.
        retry_failed: whether to try what has failed again.
        launcher: where the workers come from; None: this process does all runs.

    Returns:
        One row a trial: data set, setting, algorithm, the swept values, the validation metric.
        None in the processes of several devices that do not report.
    """
    experiments = [trial.experiment for trial in trials(suite, algorithms, datasets)]
    machine = machine or Machine()
    if not grid.finish(experiments, out, console, machine, "val", retry_failed, launcher):
        return None
    # of all trials that there are, not only of those asked for now
    done = [t for t in trials(suite) if t.experiment.files(out).is_recorded]
    if not done:
        grid.raise_unfinished(experiments, out)
    frame = pd.DataFrame([row(trial, out) for trial in done])
    show(frame, suite, console)
    paths.write_text(out / "tuning" / f"{suite.name}.csv", spreadsheets.to_csv(frame))
    grid.raise_unfinished(experiments, out)
    return frame


def row(trial: Trial, out: Path) -> dict:
    """One line of the sweep's table, from the trial's record."""
    experiment = trial.experiment
    record = records.read(experiment.files(out).record)
    metrics = record["metrics"]
    return {
        "dataset": experiment.dataset,
        "setting": experiment.setting,
        "algorithm": experiment.algorithm,
        **trial.values,
        "iterations": record["training"]["iterations"],
        "metric": metrics["headline"],
        "value": rounded(metrics[metrics["headline"]]["mean"]),
        "ci95": rounded(metrics[metrics["headline"]]["ci95"]),
        "higher_is_better": metrics["higher_is_better"],
        "episodes": record["evaluation"]["episodes"],
    }


def rounded(value: float | None) -> float:
    """Five decimals; NaN where a trial diverged."""
    return float("nan") if value is None else round(value, 5)


def best_rows(frame: pd.DataFrame) -> list:
    """Index of the best trial of each data set, setting and algorithm."""
    signed = frame["value"].where(frame["higher_is_better"], -frame["value"])
    signed = signed.fillna(-float("inf"))  # a trial that diverged is the worst
    groups = frame.assign(signed=signed).groupby(["dataset", "setting", "algorithm"], sort=False)
    return list(groups["signed"].idxmax())


def at_an_edge(frame: pd.DataFrame, best: pd.Series, names: Iterable[str]) -> list[str]:
    """Which swept values of a best trial are the first or last candidate, so that more may help."""
    candidates = frame[frame["dataset"] == best["dataset"]]
    return [n for n in names if best[n] in (candidates[n].min(), candidates[n].max())]


def show(frame: pd.DataFrame, suite: Suite, console: Console) -> None:
    """Prints every trial, the best of each algorithm marked, and which bests lie at an edge."""
    best = best_rows(frame)
    table = Table(title=f"{suite.name}: sweep on validation episodes (best marked *)")
    shown = [c for c in frame.columns if c not in ("higher_is_better", "ci95")]
    for column in shown:
        table.add_column(column, justify="left" if column in shown[:3] else "right")
    for i, line in frame.iterrows():
        mark = " *" if i in best else ""
        value = f"{line['value']:.4f} ± {line['ci95']:.4f}{mark}"
        cells = [value if c == "value" else str(line[c]) for c in shown]
        table.add_row(*cells, style="bold" if mark else None)
    console.print(table)
    swept = {study.dataset: study.sweep for study in suite.studies}
    for _, line in frame.loc[best].iterrows():
        for name in at_an_edge(frame, line, swept[line["dataset"]]):
            console.print(
                f"{line['dataset']} {line['setting']}, {line['algorithm']}: {name}={line[name]} is "
                "at the edge of the candidates; the best may lie beyond",
                style="yellow",
            )
