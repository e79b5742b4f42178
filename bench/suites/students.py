"""Synthetic students with a known ceiling, seen after 1, 3, 5, 10 and 25 answers."""

from bench.suite import Study, Suite

ALGORITHMS = {
    "bayes": {},
    "bilevel_irt": {"inner_lr": 0.05},
    "first_order_bilevel_irt": {"inner_lr": 0.2},
    "maml": {"inner_lr": 0.1, "inner_steps": 3, "outer_lr": 3e-3},
    "fomaml": {"inner_lr": 0.1, "inner_steps": 3, "outer_lr": 3e-3},
    "rasch": {},
    "two_pl": {},
    "bkt": {},
    "dkt": {},
    "skill_running_mean": {},
    "item_mean": {},
}
IN_ORDER = {"bkt", "dkt"}  # methods that follow a student over time
GROWTH = {"model_options": {"growth": True}}  # where students learn, an ability may too


def study(dataset: str, in_order: bool = False, **data) -> Study:
    """The same study on each kind of student: 25 answers shown at most, 25 to predict."""
    return Study(
        dataset=dataset,
        shots=(25,),
        iterations=1000,
        validations=4,
        data={
            "queries": 25,
            "tested_shots": (1, 3, 5, 10, 25),
            "protocol": "first" if in_order else "random",
            "tasks_per_batch": 64,
            "val_episodes": 400,
            **data,
        },
        learner={"outer_schedule": "cosine"},
        algorithms={
            name: settings | (GROWTH if in_order and name.endswith("bilevel_irt") else {})
            for name, settings in ALGORITHMS.items()
            if in_order or name not in IN_ORDER
        },
        sweep={"inner_lr": (0.02, 0.05, 0.1, 0.2, 0.5)},
        sweep_iterations=500,
    )


SUITE = Suite(
    name="students",
    description="synthetic students of six kinds against their Bayes ceiling",
    studies=(
        study("irt"),
        study("mirt"),
        study("dina"),
        study("bkt", in_order=True),
        study("growing_skills", in_order=True),
        study("learning_styles", in_order=True),
    ),
)
