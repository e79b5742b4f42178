"""New students' first answers, as MAML-KT asks for them: numbers 3 to 10, and 11 to 15.

Bhattacharjee and Wayllace, "MAML-KT", 2026 (arXiv:2603.00137): each answer of a window is predicted
with all before it shown, for cohorts of 10 to 50 students who were not trained on. Cohorts are
drawn anew by each fold, and smaller ones are the first students of larger ones:
``--set test_episodes=10``.
"""

from bench.running.suite import Study, Suite

WINDOWS = ((3, 10), (11, 15))
PERCEPTRON = {"inner_steps": 2, "outer_lr": 3e-3}  # the paper adapts by one step or two
GROWTH = {"model_options": {"growth": True}}

SUITE = Suite(
    name="students-cold-start",
    description="the first answers of new students of ASSISTments 2009: 3 to 10, and 11 to 15",
    studies=(
        Study(
            dataset="assist2009",
            shots=(WINDOWS[-1][1] - 1,),
            iterations=1000,
            validations=5,
            data={
                "protocol": "next",
                "windows": WINDOWS,
                "queries": None,
                "most_answers": WINDOWS[-1][1],
                "folds_from": "seed",
                "test_episodes": 50,
                "tasks_per_batch": 64,
            },
            repeats=tuple({"fold": fold} for fold in range(5)),
            learner={"outer_schedule": "cosine"},
            algorithms={
                "bilevel_irt": GROWTH,
                "first_order_bilevel_irt": GROWTH,
                "maml": PERCEPTRON | {"inner_lr": 0.1},
                "fomaml": PERCEPTRON | {"inner_lr": 0.1},
                "bkt": {},
                "dkt": {},
                "rasch": {},
                "two_pl": {},
                "skill_running_mean": {},
                "item_mean": {},
            },
            sweep={"inner_lr": (0.02, 0.05, 0.1, 0.2, 0.5)},
            trial_iterations=300,
        ),
    ),
)
