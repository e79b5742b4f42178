"""A grid from a script or a notebook: what ``maml-bench run`` does, and its runs as a DataFrame."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from bench.base import paths, registry
from bench.base.errors import BenchError
from bench.results import records, tables
from bench.running import grid, loggers, suite_files
from bench.running.machine import Machine
from bench.running.suite import Study, Suite


def run(
    suite: Suite | Study | str,
    out: str | Path = "results",
    *,
    name: str = "mine",
    algorithms: Iterable[str] | None = None,
    datasets: Iterable[str] | None = None,
    ways: Iterable[int] | None = None,
    shots: Iterable[int] | None = None,
    seeds: Iterable[int] | None = None,
    settings: Mapping[str, Any] | None = None,
    jobs: int = 1,
    accelerator: str = "auto",
    data_root: str | Path | None = None,
    logger: str | None = None,
    retry_failed: bool = False,
    quiet: bool = False,
) -> pd.DataFrame:
    """Runs what is missing of a grid, as ``maml-bench run`` does, and gives its runs.

    Args:
        suite: the grid; of a :class:`Study` a suite is made; a text is a name or a file, as in the
            command.
        out: the results folder.
        name: of the suite, where a :class:`Study` is given.
        algorithms: only these; also your own, as a file or ``package.module:Class``.
        datasets: only these, likewise.
        ways: instead of the suite's.
        shots: instead of the suite's.
        seeds: instead of the suite's.
        settings: as ``--set``: ``{"inner_lr": 0.1, "maml.inner_steps": 3}``.
        jobs: runs at a time, each in a process of its own.
        accelerator: ``"cpu"``, ``"gpu"`` or ``"auto"``.
        data_root: folder of prepared data; None: the usual one.
        logger: ``"csv"``, ``"tensorboard"``, ``"wandb"`` or ``"mlflow"``; files under ``out/logs``.
        retry_failed: whether to try what has failed before again.
        quiet: whether to print nothing.

    Returns:
        One row a run of the grid: see :func:`bench.results.tables.frame`.

    Raises:
        BenchError: what is wrong with the grid, or which runs have failed; the others are done
            then, and are among ``results(out)``.
        Interrupted: after Ctrl-C or SIGTERM.
    """
    loggers.check(logger)
    if jobs < 1:
        raise BenchError(f"jobs={jobs!r}: give 1 or more")
    if isinstance(suite, Study):
        if not paths.is_file_name(name):
            raise BenchError(f"name={name!r}: give letters, digits, - and _ alone")
        suite = Suite(name, "", (suite,))
    elif not isinstance(suite, Suite):
        suite = suite_files.find(suite)
    experiments = suite.experiments(algorithms, datasets, ways, shots, seeds, settings)
    out = paths.writable(Path(out))
    data_root = None if data_root is None else Path(data_root)
    machine = Machine(accelerator, data_root=data_root, logger=logger)
    launcher = registry.load("launchers", "local")(jobs, machine, {}) if jobs > 1 else None
    grid.run(experiments, out, Console(quiet=quiet), machine, retry_failed, launcher)
    return tables.frame([records.read(e.files(out).record) for e in experiments])
