"""The main job on built-in data: minutes on two cores, no download."""

from bench.running.suite import Study, Suite

SUITE = Suite(
    name="quick",
    description="glyphs, synthetic students and sinusoids: minutes on two cores, no download",
    studies=(
        Study(
            dataset="glyphs",
            ways=(5,),
            shots=(1,),
            iterations=900,
            validations=3,
            data={"queries": 5, "val_episodes": 200},
            learner={
                "model_options": {"filters": 16},
                "outer_lr": 3e-3,
                "outer_schedule": "cosine",
                "test_steps": 3,
            },
            algorithms={
                "maml": {"inner_lr": 0.1},
                "fomaml": {"inner_lr": 0.1},
                "no_adaptation": {"iterations": 150},
                "random_init": {"inner_lr": 0.3},
            },
            sweep={"inner_lr": (0.03, 0.1, 0.3, 1.0)},
            trial_iterations=300,
        ),
        Study(
            dataset="irt",
            shots=(10,),
            iterations=800,
            validations=4,
            data={"tasks_per_batch": 32, "val_episodes": 500},
            learner={"outer_lr": 3e-3, "outer_schedule": "cosine", "inner_steps": 3},
            algorithms={
                "maml": {"inner_lr": 0.03},
                "fomaml": {"inner_lr": 0.03},
                "bayes": {},
                "item_mean": {"outer_lr": 0.1},
                "random_init": {"inner_lr": 0.3},
            },
            sweep={"inner_lr": (0.03, 0.1, 0.3, 1.0)},
            trial_iterations=400,
        ),
        Study(
            dataset="sinusoid",
            shots=(10,),
            iterations=1500,
            validations=4,
            data={"tasks_per_batch": 25, "val_episodes": 200},
            learner={"outer_lr": 3e-3, "outer_schedule": "cosine", "test_steps": 5},
            algorithms={
                "maml": {"inner_lr": 0.01},
                "fomaml": {"inner_lr": 0.01},
                "no_adaptation": {},
                "random_init": {"inner_lr": 0.01},
            },
            sweep={"inner_lr": (0.003, 0.01, 0.03, 0.1)},
            trial_iterations=500,
        ),
    ),
)
