"""Real photographs, 84x84, sized for two cores."""

from bench.running.suite import Study, Suite

COMMON = {
    "model_options": {"filters": 32, "downsample": "stride"},  # a fifth of max-pooling's work
    "outer_lr": 3e-3,
    "outer_schedule": "cosine",
    "inner_steps": 2,
    "test_steps": 3,
}

SUITE = Suite(
    name="mini-real",
    description="Caltech-101 at 84x84, 5-way 1- and 5-shot: under 30 minutes on two cores",
    studies=tuple(
        Study(
            dataset="caltech101",
            ways=(5,),
            shots=(shots,),
            iterations=iterations,
            validations=4,
            data={"queries": 5, "tasks_per_batch": 2, "val_episodes": 100},
            learner=COMMON,
            algorithms={
                "maml": {"inner_lr": 0.03},
                "fomaml": {"inner_lr": 0.03},
                "random_init": {"inner_lr": random_init_lr},
            },
            sweep={"inner_lr": (0.01, 0.03, 0.1, 0.3)},
            trial_iterations=150,
        )
        for shots, iterations, random_init_lr in ((1, 1500, 0.1), (5, 600, 0.03))
    ),
)
