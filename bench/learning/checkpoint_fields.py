"""What a checkpoint holds of a learner beside what Lightning puts there, and what must fit it.

Read again, without running anything that a file names, by :mod:`bench.learning.learner_file`.
"""

from typing import Any

from lightning import LightningModule

from bench.base.errors import BenchError

# keys in the checkpoint
ALGORITHM = "algorithm"  # its name in the registry, or where a user's class is imported from
STUDENTS = "students"  # what questions to students are called


def write(learner: LightningModule, checkpoint: dict[str, Any], vocabulary: dict | None) -> None:
    """Adds what it takes to use the model without its data.

    Args:
        learner: the algorithm.
        checkpoint: what Lightning is going to store.
        vocabulary: what questions to students are called; None: tasks are no students.
    """
    module, name = type(learner).__module__, type(learner).__qualname__
    in_suite = module.startswith("bench.algorithms.")
    file_name = module.removeprefix("bench.algorithms.")
    checkpoint[ALGORITHM] = file_name if in_suite else f"{module}.{name}"
    checkpoint[STUDENTS] = vocabulary


def check_weights(learner: LightningModule, checkpoint: dict[str, Any]) -> None:
    """Refuses the weights of another network.

    Raises:
        BenchError: says to pass the model again.
    """
    there = {n: v.shape for n, v in checkpoint["state_dict"].items()}
    here = {n: v.shape for n, v in learner.state_dict().items()}
    if here != there:
        differing = sorted(n for n in here | there if here.get(n) != there.get(n))
        raise BenchError(
            f"the checkpoint does not fit {type(learner.net).__name__} (first differing weight: "
            f"{differing[0]}); a model of your own is not stored, so pass model= again"
        )
