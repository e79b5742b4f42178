"""What a run that is finished predicts of its test episodes, where that was not kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.base import registry
from bench.base.errors import BenchError
from bench.results import predictions
from bench.running import resuming
from bench.running.experiment import Experiment
from bench.running.machine import Machine
from bench.running.quiet import quiet
from bench.running.training import evaluate, make_trainer


def predict_again(
    experiment: Experiment,
    record: dict[str, Any],
    out: Path,
    machine: Machine,
    say: Callable[[str], None],
) -> None:
    """Tests the best weights of a finished run again, and keeps what they predict.

    Args:
        experiment: which was run.
        record: what came out.
        out: the results folder.
        machine: where to run.
        say: told what is done.

    Raises:
        BenchError: if the weights are gone, or the data is no longer that of the record.
    """
    files = experiment.files(out)
    weights = files.checkpoints / resuming.BEST_FILE
    data = registry.create("data", experiment.dataset, **machine.data_arguments(experiment))
    learner = registry.create("algorithms", experiment.algorithm, **experiment.learner_arguments)
    if learner.trains and not weights.is_file():
        raise BenchError(
            f"{weights} is gone, from which the predictions of a finished run are made: delete "
            f"{files.record} to run it again, or give another folder with --out"
        )
    if (before := record["provenance"].get("data")) != data.checksum:
        raise BenchError(f"the data has changed: checksum {before} then, {data.checksum} now")
    say("  finished before: its best weights are tested again for their predictions")
    learner.keeps_predictions, split = True, record["evaluation"]["split"]
    with quiet():
        trainer = make_trainer(experiment, machine, [], progress=False)
        evaluate(trainer, learner, data, split, str(weights) if learner.trains else "")
    if trainer.is_global_zero:
        found = predictions.of_rows(learner.predictions, data, split)
        predictions.write(files.predictions, found)
