"""The field's methods side by side, tuned alike: 16 trials each, three seeds.

``maml-bench tune methods --trials 16 --jobs 2``, then ``maml-bench run methods --jobs 2``. Each
method that adapts by gradient stands here with second and with first order. Not here are methods
that follow a student over time: the students of ``irt`` do not learn.
"""

from typing import Any

from bench.running.suite import Study, Suite

EVERYWHERE = ("maml", "anil", "boil", "meta_sgd", "maml_plus_plus", "cavia")
ON_IMAGES = {  # of both_orders: all methods for images
    "adapting": (*EVERYWHERE, "meta_curvature", "proto_maml", "unicorn_maml"),
    "others": (
        *("reptile", "imaml", "nil"),
        *("proto_net", "r2d2", "cnp", "baseline", "baseline_plus_plus"),
        *("no_adaptation", "random_init"),
    ),
}
OWN = {"reptile": {"test_steps": 20}}  # the paper's 50 steps of Adam take longer than the training


def both_orders(
    adapting: tuple[str, ...], others: tuple[str, ...], learner: dict[str, Any], **study: Any
) -> tuple[Study, Study]:
    """A study with second order, and one with first order of what adapts by gradient.

    Args:
        adapting: algorithms that differentiate through their inner steps, or do not.
        others: algorithms without that choice.
        learner: arguments for every algorithm that takes them.
        study: the other fields of both studies.
    """
    listed = {name: OWN.get(name, {}) for name in (*adapting, *others)}
    second = Study(algorithms=listed, learner=learner, **study)
    first = Study(
        algorithms={name: listed[name] for name in adapting},
        learner=learner | {"order": 1},
        **study,
    )
    return second, first


SUITE = Suite(
    name="methods",
    description="all methods on built-in data, tuned alike: under 40 minutes on two cores in all",
    seeds=(0, 1, 2),
    studies=(
        *both_orders(
            dataset="glyphs",
            **ON_IMAGES,
            ways=(5,),
            shots=(1,),
            iterations=300,
            validations=1,
            trial_iterations=50,
            data={
                "queries": 5,
                "tasks_per_batch": 4,
                "val_episodes": 100,
                "test_episodes": 300,
            },
            learner={"model_options": {"filters": 16}, "outer_schedule": "cosine"},
        ),
        *both_orders(
            dataset="sinusoid",
            adapting=(*EVERYWHERE, "meta_curvature"),
            others=("reptile", "imaml", "cnp", "no_adaptation", "random_init"),
            shots=(10,),
            iterations=1000,
            validations=1,
            trial_iterations=200,
            data={"tasks_per_batch": 25, "val_episodes": 100},
            learner={"outer_schedule": "cosine"},
        ),
        *both_orders(
            dataset="irt",
            adapting=(*EVERYWHERE, "bilevel_irt"),
            others=(
                *("reptile", "imaml", "cnp"),
                *("rasch", "two_pl", "skill_running_mean", "logitdec"),
                *("bayes", "item_mean", "no_adaptation", "random_init"),
            ),
            shots=(10,),
            iterations=500,
            validations=1,
            trial_iterations=100,
            data={"tasks_per_batch": 32, "val_episodes": 200, "test_episodes": 1000},
            learner={"outer_schedule": "cosine"},
        ),
    ),
)
