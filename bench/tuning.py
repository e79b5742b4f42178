"""Chooses hyper-parameters on validation episodes, with the same budget for every algorithm."""

import dataclasses
import itertools
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from bench import records, registry
from bench.errors import BenchError
from bench.experiment import Experiment
from bench.suite import Suite


def trials(suite: Suite, algorithms=None, datasets=None) -> list[Experiment]:
    """Every candidate of every algorithm that has the swept arguments.

    The candidates are those of the study's ``sweep``, each trained for ``sweep_iterations``.

    Raises:
        BenchError: if the suite sweeps nothing.
    """
    found = []
    for study in suite.studies:
        short = dataclasses.replace(study, iterations=study.sweep_iterations)
        part = dataclasses.replace(suite, name=f"{suite.name}-tuning", studies=(short,))
        if not study.sweep or (datasets and study.dataset not in datasets):
            continue
        names, candidates = study.sweep.keys(), list(itertools.product(*study.sweep.values()))
        for algorithm in algorithms or study.algorithms:
            takes = registry.option_names(registry.load("algorithms", algorithm))
            takes += registry.option_names(registry.load("data", study.dataset))
            if not set(names) <= set(takes):
                continue  # it does not have what is swept
            for values in candidates:
                settings = {f"{algorithm}.{n}": v for n, v in zip(names, values)}
                found += part.experiments([algorithm], settings=settings, seeds=suite.seeds[:1])
    if not found:
        raise BenchError(f"suite {suite.name} has nothing to tune: no study in it has a sweep")
    return [dataclasses.replace(trial, chosen="a trial of the sweep") for trial in found]


def tune(
    suite: Suite,
    out: Path,
    console: Console,
    algorithms=None,
    datasets=None,
    data_root: Path | None = None,
    devices: int | str = "auto",
    accelerator: str = "auto",
) -> pd.DataFrame:
    """Runs the trials that are missing, prints them, and writes ``out/tuning/<suite>.csv``.

    Each trial is a record like any other, evaluated on validation episodes.

    Returns:
        One row a trial: data set, setting, algorithm, the swept values, the validation metric.
    """
    from bench.training import train

    grid = trials(suite, algorithms, datasets)
    for number, trial in enumerate(grid):
        path = records.path_of(out, trial.fields)
        if path.exists():
            continue
        console.print(f"[{number + 1}/{len(grid)}] {trial} {swept(suite, trial)}")
        record = train(
            trial,
            out,
            split="val",
            data_root=data_root,
            devices=devices,
            accelerator=accelerator,
            progress=console.is_terminal,
        )
        records.write(path, record)
    frame = pd.DataFrame(
        [row(suite, t, records.read(records.path_of(out, t.fields))) for t in grid]
    )
    best = frame.loc[best_rows(frame)]
    show(frame, best, suite, console)
    records.write_text(out / "tuning" / f"{suite.name}.csv", frame.to_csv(index=False))
    return frame


def swept(suite: Suite, trial: Experiment) -> dict:
    """The values that a trial tries."""
    study = next(s for s in suite.studies if s.dataset == trial.dataset)
    return {n: (trial.learner_arguments | trial.data_arguments)[n] for n in study.sweep}


def row(suite: Suite, trial: Experiment, record: dict) -> dict:
    """One line of the sweep's table."""
    metrics = record["metrics"]
    return {
        "dataset": trial.dataset,
        "setting": trial.setting,
        "algorithm": trial.algorithm,
        **swept(suite, trial),
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


def show(frame: pd.DataFrame, best: pd.DataFrame, suite: Suite, console: Console) -> None:
    """Prints every trial, the best of each algorithm marked."""
    table = Table(title=f"{suite.name}: sweep on validation episodes (best marked *)")
    shown = [c for c in frame.columns if c not in ("higher_is_better", "ci95")]
    for column in shown:
        table.add_column(column, justify="left" if column in shown[:3] else "right")
    for i, line in frame.iterrows():
        mark = " *" if i in best.index else ""
        value = f"{line['value']:.4f} ± {line['ci95']:.4f}{mark}"
        cells = [value if c == "value" else str(line[c]) for c in shown]
        table.add_row(*cells, style="bold" if mark else None)
    console.print(table)
