"""Meta-Dataset's episodes on a small scale: train on one source, test on three."""

from bench.running.suite import Study, Suite

SUITE = Suite(
    name="meta-dataset-small",
    description="Meta-Dataset's varying ways and shots, 28x28: from Omniglot to other sources",
    studies=(
        Study(
            dataset="meta_dataset",
            ways=(None,),
            shots=(None,),
            iterations=1200,
            validations=4,
            data={
                "train_datasets": ["omniglot"],
                "test_datasets": ["omniglot", "quickdraw", "caltech101"],
                "side": 28,
                "max_ways": 20,
                "max_support": 100,
                "tasks_per_batch": 4,
                "val_episodes": 40,
                "test_episodes": 300,
            },
            learner={
                "model_options": {"filters": 32},
                "outer_lr": 3e-3,
                "outer_schedule": "cosine",
                "inner_steps": 3,
                "test_steps": 5,
                "head": "zero",
            },
            algorithms={
                "maml": {"inner_lr": 0.1},
                "fomaml": {"inner_lr": 0.3},
                "random_init": {"inner_lr": 0.3},
            },
            sweep={"inner_lr": (0.03, 0.1, 0.3, 1.0)},
            trial_iterations=150,
        ),
    ),
)
