"""Students of your own whose answers are published divided: training answers predict the test's.

``maml-bench prepare student --source PATH``, or ``--set source=...``; see the card of ``student``.
"""

from bench.running.suite import Study, Suite

PERCEPTRON = {"inner_steps": 3, "outer_lr": 3e-3}

SUITE = Suite(
    name="students-by-answer",
    description="students of yours whose answers are divided into train, valid and test",
    studies=(
        Study(
            dataset="student",
            shots=(None,),
            iterations=1000,
            validations=5,
            data={
                "split_by": "answer",
                "queries": None,
                "most_answers": 1000,
                "tasks_per_batch": 64,
            },
            learner={"outer_schedule": "cosine"},
            algorithms={
                "bilevel_irt": {},
                "first_order_bilevel_irt": {},
                "maml": PERCEPTRON | {"inner_lr": 0.1},
                "fomaml": PERCEPTRON | {"inner_lr": 0.1},
                "rasch": {},
                "two_pl": {},
                "skill_running_mean": {},
                "item_mean": {},
            },
            sweep={"inner_lr": (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)},
            trial_iterations=300,
        ),
    ),
)
