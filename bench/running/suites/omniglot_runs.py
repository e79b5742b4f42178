"""Lake's 20-way one-shot runs, by the error rate, sized for two cores."""

from bench.running.suite import Study, Suite

SUITE = Suite(
    name="omniglot-runs",
    description="Lake's 20 one-shot runs, 20-way within an alphabet: the error rate",
    studies=(
        Study(
            dataset="omniglot_runs",
            ways=(20,),
            shots=(1,),
            iterations=2000,
            validations=8,
            data={"queries": 2, "tasks_per_batch": 4, "val_episodes": 100},
            learner={
                "model_options": {"filters": 32},
                "outer_lr": 3e-3,
                "outer_schedule": "cosine",
                "batch_norm": "support",  # as people do, who see one image to recognise at a time
                "inner_steps": 1,
                "test_steps": 3,
            },
            algorithms={
                "maml": {"inner_lr": 0.3},
                "fomaml": {"inner_lr": 0.3},
                "random_init": {"inner_lr": 0.3},
            },
            sweep={"inner_lr": (0.1, 0.3, 1.0, 3.0)},
            trial_iterations=300,
        ),
    ),
)
