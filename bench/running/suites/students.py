"""Synthetic students with a known ceiling, seen after 1, 3, 5, 10 and 25 answers."""

from bench.running.suite import Study, Suite

PERCEPTRON = {"inner_steps": 3, "outer_lr": 3e-3}
ALGORITHMS = {
    "bayes": {},
    "bilevel_irt": {},
    "first_order_bilevel_irt": {},
    "maml": PERCEPTRON,
    "fomaml": PERCEPTRON,
    "rasch": {},
    "two_pl": {},
    "bkt": {},
    "dkt": {},
    "skill_running_mean": {},
    "item_mean": {},
}
RATED = ("maml", "fomaml")  # have an inner_lr to choose
IN_ORDER = {"bkt", "dkt"}  # methods that follow a student over time
GROWTH = {"model_options": {"growth": True}}  # where students learn, an ability may too


def study(dataset: str, rates: tuple[float, ...], in_order: bool = False) -> Study:
    """The same study on each kind of student: 25 answers shown at most, 25 to predict.

    Args:
        dataset: which students.
        rates: ``inner_lr`` of each of :data:`RATED`, as ``maml-bench tune students`` found them.
        in_order: whether the answers shown are the first ones, as of students who learn.
    """
    rate = {name: {"inner_lr": value} for name, value in zip(RATED, rates)}
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
        },
        learner={"outer_schedule": "cosine"},
        algorithms={
            name: settings
            | rate.get(name, {})
            | (GROWTH if in_order and name.endswith("bilevel_irt") else {})
            for name, settings in ALGORITHMS.items()
            if in_order or name not in IN_ORDER
        },
        sweep={"inner_lr": (0.02, 0.05, 0.1, 0.2, 0.5)},
        trial_iterations=500,
    )


SUITE = Suite(
    name="students",
    description="synthetic students of six kinds against their Bayes ceiling",
    seeds=(0, 1, 2),
    studies=(
        study("irt", (0.1, 0.1)),
        study("mirt", (0.1, 0.1)),
        study("dina", (0.5, 0.5)),
        study("bkt", (0.2, 0.02), in_order=True),
        study("growing_skills", (0.2, 0.2), in_order=True),
        study("learning_styles", (0.2, 0.5), in_order=True),
    ),
)
