"""Caltech-101 at 84x84 as in ``mini-real``, with ten times its iterations and three seeds."""

from dataclasses import replace

from bench.running.suite import Suite
from bench.running.suites import mini_real

SUITE = Suite(
    name="caltech-reference",
    description="Caltech-101, 5-way 1- and 5-shot, both orders for long: about an hour a run",
    seeds=(0, 1, 2),
    studies=tuple(
        replace(
            study,
            iterations=10 * study.iterations,
            validations=20,
            data={**study.data, "val_episodes": 200, "test_episodes": 1000},
            sweep={"inner_lr": (0.01, 0.03, 0.1)},
            trial_iterations=400,
        )
        for study in mini_real.SUITE.studies
    ),
)
