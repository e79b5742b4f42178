"""Omniglot, 5-way 1-shot, on two cores: what minutes and what an hour buy, and in which order.

Settings are those of ``omniglot-small``, with as many filters as the paper has. Each length is a
training of its own with its own schedule, so that "which order, with so much time?" has an answer
at each.
"""

from dataclasses import replace

from bench.running.suite import Suite
from bench.running.suites import omniglot_small

LENGTHS = (20_000, 5_000, 1_000)  # the longest is begun first
(SMALL,) = omniglot_small.SUITE.studies

SUITE = Suite(
    name="omniglot-reference",
    description="Omniglot 5-way 1-shot, both orders, from minutes to an hour of training",
    seeds=(0, 1, 2),
    studies=tuple(
        replace(
            SMALL,
            iterations=iterations,
            validations=20,
            data={**SMALL.data, "val_episodes": 300, "test_episodes": 1000},
            learner={**SMALL.learner, "model_options": {"filters": 64}},
            algorithms={n: SMALL.algorithms[n] for n in ("maml", "fomaml", "random_init")},
            sweep={"inner_lr": (0.1, 0.3, 1.0)} if iterations == max(LENGTHS) else {},
            trial_iterations=600,
        )
        for iterations in LENGTHS
    ),
)
