"""Chooses hyper-parameters on validation episodes, with the same budget for every algorithm.

Every algorithm gets the same number of trials of the same length: the suite's own values, then
points of a quasi-random sequence in the ranges that it declares (``search_space.py``); or, of a
suite that has a ``sweep``, all its candidates. What is found is written to ``tuning/<suite>.json``
(``results/tuned.py``) and used by ``run`` (``tuned_values.py``).
"""

import dataclasses
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from rich.console import Console

from bench.base import paths, registry, spreadsheets
from bench.base.errors import BenchError
from bench.results import failed, labels, records, tuned, tuned_tables
from bench.results.tuned import Row, Rows
from bench.running import choices, grid, search_space
from bench.running.experiment import Experiment
from bench.running.machine import Machine
from bench.running.search_space import Dimension
from bench.running.suite import Study, Suite
from bench.running.workers import Launcher


class Trial(NamedTuple):
    """One candidate.

    Attributes:
        experiment: a short run with the candidate's values.
        values: what is tried, argument name to value.
    """

    experiment: Experiment
    values: dict[str, Any]


class Search(NamedTuple):
    """All trials of an algorithm on a data set.

    Attributes:
        first: the trial with the suite's own values; of a grid it need not be among the trials.
        space: what is searched.
        is_grid: whether the trials are all candidates of the study's ``sweep``.
        trials: in their order.
    """

    first: Experiment
    space: list[Dimension]
    is_grid: bool
    trials: list[Trial]


def searches(
    suite: Suite,
    count: int | None = None,
    algorithms: Iterable[str] | None = None,
    datasets: Iterable[str] | None = None,
) -> list[Search]:
    """What there is to try for each algorithm on each data set.

    Args:
        suite: whose settings to choose.
        count: trials of each algorithm that declares what to search; None: the candidates of the
            studies' ``sweep``, for the algorithms that have the swept arguments.
        algorithms: only these.
        datasets: only these.

    Raises:
        BenchError: for an unknown name or number, or if there is nothing to try.
    """
    if count is not None and count < 1:
        raise BenchError(f"--trials {count}: give 1 or more")
    if count is None and not any(study.sweep for study in suite.studies):
        raise BenchError(
            f"suite {suite.name} has nothing to tune: no study in it has a sweep; --trials N "
            "searches the ranges that the algorithms declare"
        )
    find = _sweep if count is None else _search
    cells = suite.cells(algorithms, datasets)
    found = [find(suite, study, *cell, count) for study, *cell in cells]
    found = [search for search in found if search]
    if not found:
        raise BenchError(f"nothing of suite {suite.name} has anything to tune, with these flags")
    return found


def _search(
    suite: Suite, study: Study, algorithm: str, sizes: dict, count: int | None
) -> Search | None:
    """The suite's own values, and points of the ranges that the algorithm declares."""
    space = search_space.of(algorithm)
    if not space:
        return None
    first = suite.first_trial(study, algorithm, sizes)
    own = {d.name: first.learner_arguments[d.name] for d in space}
    tried = [own, *(search_space.points(space, count - 1) if count > 1 else [])]
    trials = {t.experiment.key: t for t in (_trial(first, v, choices.SEARCH) for v in tried)}
    return Search(first, space, False, list(trials.values()))


def _sweep(
    suite: Suite, study: Study, algorithm: str, sizes: dict, count: int | None
) -> Search | None:
    """All candidates of the study's sweep, if the algorithm has its arguments."""
    takes = {
        *registry.option_names("algorithms", algorithm),
        *registry.option_names("data", study.dataset),
    }
    if not study.sweep or not study.sweep.keys() <= takes:
        return None
    first = suite.first_trial(study, algorithm, sizes)
    space = [Dimension(name, "choice", tuple(values)) for name, values in study.sweep.items()]
    tried = [dict(zip(study.sweep, v)) for v in itertools.product(*study.sweep.values())]
    return Search(first, space, True, [_trial(first, v, choices.TRIAL) for v in tried])


def _trial(first: Experiment, values: dict[str, Any], chosen: str) -> Trial:
    """The trial with other values."""
    takes = registry.option_names("algorithms", first.algorithm)
    experiment = dataclasses.replace(
        first,
        learner=first.learner | {n: v for n, v in values.items() if n in takes},
        data=first.data | {n: v for n, v in values.items() if n not in takes},
        chosen=chosen,
        remark=", ".join(filter(None, [first.remark, *(f"{n}={v}" for n, v in values.items())])),
    )
    return Trial(experiment, values)


def tune(
    suite: Suite,
    out: Path,
    console: Console,
    algorithms: Iterable[str] | None = None,
    datasets: Iterable[str] | None = None,
    machine: Machine | None = None,
    retry_failed: bool = False,
    launcher: Launcher | None = None,
    count: int | None = None,
) -> Rows | None:
    """Runs the trials that are missing, prints what is best, and writes it.

    Each trial is a record like any other, evaluated on validation episodes; one that diverged
    counts as the worst. Into ``out/tuning`` go ``<suite>.json``, which ``run`` uses, every trial as
    ``<suite>.csv``, and ``<suite>.md`` with ``out/figures/<suite>-tuning.png``: how the best
    depends on the number of trials.

    Args:
        suite: whose settings to choose.
        out: the results folder.
        console: where progress and the table are printed.
        algorithms: only these; what was found for others stays.
        datasets: only these.
        machine: where to run; None: this machine's usual device and folder.
        retry_failed: whether to try what has failed again.
        launcher: where the workers come from; None: this process does all runs.
        count: trials of each algorithm; None: the candidates of the studies' ``sweep``.

    Returns:
        What the file holds. None in the processes of several devices that do not report.

    Raises:
        BenchError: if a trial has failed for another reason than that it diverged.
        RunsLeft: if another process holds a trial and has not finished it.
    """
    asked = searches(suite, count, algorithms, datasets)
    found = choose(suite, asked, out, console, machine or Machine(), retry_failed, launcher)
    if found is None:
        return None
    rows, experiments = found
    if not rows:
        grid.raise_unfinished(experiments, out)
    _report(rows, suite, out, console)
    # of all trials that there are, not only of those asked for now
    every = [*searches(suite, count), *asked]  # some of outside the suite
    trials = {trial.experiment.key: trial for search in every for trial in search.trials}
    lines = [_line(t, out) for t in trials.values() if t.experiment.files(out).is_recorded]
    csv = out / "tuning" / f"{suite.name}.csv"
    paths.write_text(csv, spreadsheets.to_csv(pd.DataFrame(lines)))
    grid.raise_unfinished(experiments, out)
    return rows


def choose(
    suite: Suite,
    asked: list[Search],
    out: Path,
    console: Console,
    machine: Machine,
    retry_failed: bool = False,
    launcher: Launcher | None = None,
    brief: bool = False,
) -> tuple[Rows, list[Experiment]] | None:
    """Runs the trials that are missing, and writes what is best to where ``run`` looks for it.

    Args:
        suite: whose settings to choose.
        asked: what to try, from :func:`searches`.
        out: the results folder.
        console: where progress is printed.
        machine: where to run.
        retry_failed: whether to try what has failed again.
        launcher: where the workers come from; None: this process does all runs.
        brief: whether the trials are not listed.

    Returns:
        What the file holds, and the trials that have not diverged; no rows, and nothing written, if
        no search has come to an end. None in the processes of several devices that do not report.
    """
    experiments = [trial.experiment for search in asked for trial in search.trials]
    if not grid.finish(
        experiments, out, console, machine, "val", retry_failed, launcher, brief=brief
    ):
        return None
    failures = failed.read(out, (e.fields for e in experiments))
    diverged = {key for key, failure in failures.items() if failure.diverged}
    experiments = [e for e in experiments if e.key not in diverged]
    rows = {s.first.key: row for s in asked if (row := _row(s, out, diverged))}
    if rows:
        path = tuned.path_in(out, suite.name)
        rows = _merged(tuned.read(path), rows, suite)
        tuned.write(path, suite.name, rows)
    return rows, experiments


def _row(search: Search, out: Path, diverged: set[str]) -> Row | None:
    """What has come out of a search; None while a trial is missing, and if all have diverged."""
    first, tried, recorded = search.first, [], {}
    for trial in search.trials:
        experiment, score = trial.experiment, None
        if experiment.files(out).is_recorded:
            recorded = records.read(experiment.files(out).record)
            score = recorded["metrics"][tuned.judge(recorded)[0]]["mean"]
        elif experiment.key not in diverged:
            return None
        tried.append((trial.values, score))
    if not recorded:
        return None
    metric, higher = tuned.judge(recorded)
    best, score = tried[tuned.best_of([s for _, s in tried], higher)]
    return Row(
        dataset=first.dataset,
        setting=first.setting,
        algorithm=first.algorithm,
        label=str(labels.label(first.algorithm, first.learner_arguments)),
        space={d.name: [d.scale, *d.values] for d in search.space},
        is_grid=search.is_grid,
        metric=metric,
        higher_is_better=higher,
        iterations=first.iterations,
        episodes=recorded["evaluation"]["episodes"],
        best=best,
        score=score,
        at_edge=[d.name for d in search.space if _is_at_edge(d, best[d.name], search.is_grid)],
        trials=len(tried),
        tried=tried,
    )


def _is_at_edge(dimension: Dimension, value: Any, is_grid: bool) -> bool:
    """Whether a value lies at the end of what was tried; of a grid: is the first or last of it."""
    if not is_grid:
        return dimension.is_at_edge(value)
    numbers = [v for v in dimension.values if type(v) in (int, float)]
    return len(numbers) == len(dimension.values) and value in (min(numbers), max(numbers))


def _merged(before: Rows, new: Rows, suite: Suite) -> Rows:
    """New rows instead of those before of the same cells, in the order of the suite."""
    cells = {row.cell for row in new.values()}
    kept = {key: row for key, row in before.items() if row.cell not in cells} | new
    order = [suite.first_trial(*cell).key for cell in suite.cells()]
    places = {key: place for place, key in enumerate(order)}
    return dict(sorted(kept.items(), key=lambda item: places.get(item[0], len(places))))


def _report(rows: Rows, suite: Suite, out: Path, console: Console) -> None:
    """Prints what is best of each algorithm and what has to be known of it, and writes it."""
    from bench.results import tuned_figure  # which takes a second to load

    path, found = tuned.path_in(out, suite.name), list(rows.values())
    tuned_tables.print_rich(found, suite.name, console)
    text, figure = path.with_suffix(".md"), out / "figures" / f"{suite.name}-tuning.png"
    paths.write_text(text, tuned_tables.to_markdown(found, suite.name))
    tuned_figure.write(found, suite.name, figure)
    for written in (path, path.with_suffix(".csv"), text, figure):
        console.print(f"wrote {written}", markup=False, highlight=False)


def _line(trial: Trial, out: Path) -> dict[str, Any]:
    """One line of the list of all trials, from the trial's record."""
    experiment = trial.experiment
    record = records.read(experiment.files(out).record)
    metric, higher_is_better = tuned.judge(record)
    label = labels.label(experiment.algorithm, experiment.learner_arguments)
    return {
        "dataset": experiment.dataset,
        "setting": experiment.setting,
        "algorithm": experiment.algorithm,
        "order": label.order or "",
        **trial.values,
        "iterations": record["training"]["iterations"],
        "metric": metric,
        "value": _rounded(record["metrics"][metric]["mean"]),
        "ci95": _rounded(record["metrics"][metric]["ci95"]),
        "higher_is_better": higher_is_better,
        "episodes": record["evaluation"]["episodes"],
    }


def _rounded(value: float | None) -> float:
    """Five decimals; NaN where a trial diverged."""
    return float("nan") if value is None else round(value, 5)
