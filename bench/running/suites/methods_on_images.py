"""The field's methods on Omniglot and on photographs, tuned alike: 8 trials each, three seeds.

``maml-bench tune methods-on-images --trials 8 --jobs 2``, then ``maml-bench run methods-on-images
--jobs 2``. Every method has as many meta-batches as MAML.
"""

from bench.running.suite import Suite
from bench.running.suites.methods import ON_IMAGES, both_orders

COMMON = {**ON_IMAGES, "ways": (5,), "validations": 3}

SUITE = Suite(
    name="methods-on-images",
    description="all methods for images on Omniglot and Caltech-101, tuned alike",
    seeds=(0, 1, 2),
    studies=(
        *both_orders(
            dataset="omniglot",
            **COMMON,
            shots=(1,),
            iterations=1500,
            trial_iterations=150,
            data={"queries": 5, "rotations": "all", "tasks_per_batch": 4, "val_episodes": 200},
            learner={"model_options": {"filters": 32}, "outer_schedule": "cosine"},
        ),
        *both_orders(
            dataset="caltech101",
            **COMMON,
            shots=(5,),
            iterations=600,
            trial_iterations=60,
            data={"queries": 5, "tasks_per_batch": 2, "val_episodes": 100},
            learner={
                "model_options": {"filters": 32, "downsample": "stride"},
                "outer_schedule": "cosine",
            },
        ),
    ),
)
