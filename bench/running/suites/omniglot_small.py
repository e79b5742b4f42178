"""Omniglot, 5-way 1-shot, sized for two cores."""

from bench.running.suite import Study, Suite

SUITE = Suite(
    name="omniglot-small",
    description="Omniglot 5-way 1-shot with 32 filters: under 20 minutes on two cores",
    studies=(
        Study(
            dataset="omniglot",
            ways=(5,),
            shots=(1,),
            iterations=7500,
            validations=10,
            data={"queries": 5, "rotations": "all", "val_episodes": 200},
            learner={
                "model_options": {"filters": 32},
                "outer_lr": 3e-3,
                "outer_schedule": "cosine",
                "inner_steps": 1,
                "test_steps": 3,
            },
            algorithms={
                "maml": {"inner_lr": 0.3},
                "fomaml": {"inner_lr": 0.1},
                "no_adaptation": {"iterations": 500},
                "random_init": {"inner_lr": 0.3},
            },
            sweep={"inner_lr": (0.03, 0.1, 0.3, 1.0, 2.0)},
            trial_iterations=1000,
        ),
    ),
)
