"""Omniglot, 20-way 1-shot: where published results of the two orders differ most. On two cores."""

from bench.running.suite import Study, Suite

SUITE = Suite(
    name="omniglot-20way",
    description="Omniglot 20-way 1-shot with 32 filters, both orders, three seeds",
    seeds=(0, 1, 2),
    studies=(
        Study(
            dataset="omniglot",
            ways=(20,),
            shots=(1,),
            iterations=5_000,
            validations=10,
            data={"queries": 2, "rotations": "all", "tasks_per_batch": 4, "val_episodes": 200},
            learner={
                "model_options": {"filters": 32},
                "outer_lr": 3e-3,
                "outer_schedule": "cosine",
                "inner_steps": 3,
                "test_steps": 5,
            },
            algorithms={key: {"inner_lr": 0.3} for key in ("maml", "fomaml", "random_init")},
            sweep={"inner_lr": (0.1, 0.3, 1.0)},
            trial_iterations=200,
        ),
    ),
)
