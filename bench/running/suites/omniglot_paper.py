"""Omniglot as in the MAML paper (Finn et al. 2017, table 1 and appendix A.1): its four cells.

Network, batch, rates, steps and iterations are the paper's. Its inner rates are for a loss summed
over the classes, 0.4 (5-way) and 0.1 (20-way); for the mean loss, as here, both are 2.0. Characters
are split as in Vinyals et al. 2016: the authors' own order of them is not known. Both orders train
with the same settings, which are those of second order.

Hours of training on one core of a server's processor, second and first order, from the time of a
meta-iteration (nobody has measured them on a GPU): 5-way 1-shot 5 and 2, 5-shot 18 and 8; 20-way
1-shot 29 and 11, 5-shot 123 and 43.
"""

from typing import Any

from bench.running.suite import Study, Suite


def cells(ways: int, learner: dict[str, Any], **data: Any) -> tuple[Study, ...]:
    """The 1-shot and the 5-shot cell, each with as many queries as shots, as in the paper."""
    return tuple(
        Study(
            dataset="omniglot",
            ways=(ways,),
            shots=(shots,),
            iterations=60_000,
            validations=30,
            data={"queries": shots, "rotations": "all", "val_episodes": 200, **data},
            learner={"model_options": {"average": True}, "outer_lr": 1e-3, **learner},
            algorithms={key: {"inner_lr": 2.0} for key in ("maml", "fomaml", "random_init")},
        )
        for shots in (1, 5)
    )


SUITE = Suite(
    name="omniglot-paper",
    description="MAML's four Omniglot cells as in the paper, three seeds: a GPU, or 720 core-hours",
    seeds=(0, 1, 2),
    studies=(
        *cells(5, {"inner_steps": 1, "test_steps": 3}, tasks_per_batch=32),
        *cells(20, {"inner_steps": 5}, tasks_per_batch=16),
    ),
)
