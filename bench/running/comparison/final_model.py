"""A last training on all students, when method, values and iterations were chosen by folds.

It leaves a checkpoint and no record: nobody is left to test it on. What to expect of it is what
the folds have shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.base import registry
from bench.base.paths import replacing
from bench.results.tuned import Row
from bench.running import interruption, ranks, resuming
from bench.running.experiment import Experiment
from bench.running.machine import Machine
from bench.running.quiet import quiet


def experiment_of(
    folds: Sequence[Experiment], iterations: Sequence[int], rows: Sequence[Row]
) -> Experiment:
    """What is trained: the median of the folds' best iterations, the values best on all of them.

    Args:
        folds: the experiments of a method, one a fold.
        iterations: of each the iteration whose weights validated best.
        rows: of the tuning of each fold; all tried the same values. None: the defaults stay.
    """
    first = folds[0]
    data = {n: v for n, v in first.data.items() if n != "fold"} | {"folds_from": "nothing"}
    learner = dict(first.learner)
    if rows:
        learner |= values_of(rows)
    most = first.iterations
    chosen = int(median(iterations)) if most else 0
    return replace(
        first,
        data=data,
        learner=learner,
        iterations=min(max(chosen, 1), most) if most else 0,
        validations=1,
        tuned=None,
        remark="all students",
    )


def values_of(rows: Sequence[Row]) -> dict[str, Any]:
    """The trial that is the best over folds: a fold where it diverged counts as its worst."""
    scores = np.array([[np.nan if s is None else s for s in row.scores] for row in rows], float)
    scores *= 1 if rows[0].higher_is_better else -1
    worst = np.nanmin(scores, 1, keepdims=True)
    return rows[0].tried[int(np.where(np.isnan(scores), worst, scores).mean(0).argmax())][0]


def train(experiment: Experiment, out: Path, machine: Machine, say: Callable[[str], None]) -> Path:
    """Trains, unless that was done, and gives the checkpoint, which ``student`` and ``tutor`` take.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM; the same call goes on where it stopped.
    """
    from bench.running import training  # which takes seconds to load

    files = experiment.files(out)
    path = files.checkpoints / resuming.BEST_FILE
    finished = files.checkpoints / ".finished"
    if path.is_file() and finished.is_file():
        return path
    data = registry.create("data", experiment.dataset, **machine.data_arguments(experiment))
    learner = registry.create("algorithms", experiment.algorithm, **experiment.learner_arguments)
    identity = experiment.fields | {"checksum of the data": data.checksum}
    objective = training.OBJECTIVES[data.spec.kind]
    best = training.best_weights(experiment.judged_by or objective.headline, files.checkpoints)
    with quiet(), interruption.note_signals() as signals:
        world = ranks.join(machine)
        every = machine.checkpoint_every
        resume = resuming.Resume(files.checkpoints, identity, every, signals, world)
        trainer = training.make_trainer(experiment, machine, [best, resume], progress=False)
        training.fit(trainer, learner, data, resume.newest(say))
    with replacing(finished):
        pass
    resuming.forget(files.checkpoints)
    return path
