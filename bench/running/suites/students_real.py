"""Real students: the first answers predict the following ones, random ones the rest."""

from bench.running.suite import Study, Suite

SWEEP = {"inner_lr": (0.02, 0.05, 0.1, 0.2, 0.5)}
PERCEPTRON = {"inner_steps": 3, "outer_lr": 3e-3}
FITTED = {"rasch": {}, "two_pl": {}, "skill_running_mean": {}, "item_mean": {}}
GROWTH = {"model_options": {"growth": True}}
LEARNER = {"outer_schedule": "cosine"}

SUITE = Suite(
    name="students-real",
    description="fraction subtraction, the DKT paper's students and ASSISTments 2009, prepared",
    studies=(
        Study(  # the protocol of the reference line: five folds, the rest of a student's answers
            dataset="fraction_subtraction",
            shots=(10,),
            iterations=600,
            validations=6,
            data={"tested_shots": (3, 5, 10), "tasks_per_batch": 64},
            repeats=tuple({"fold": fold} for fold in range(5)),
            learner=LEARNER,
            algorithms={
                "bilevel_irt": {},
                "first_order_bilevel_irt": {},
                "maml": PERCEPTRON | {"inner_lr": 0.05},
                "fomaml": PERCEPTRON | {"inner_lr": 0.1},
                **FITTED,
            },
            sweep=SWEEP,
            trial_iterations=300,
        ),
        Study(
            dataset="synthetic5",
            shots=(49,),
            iterations=1000,
            validations=4,
            data={"tasks_per_batch": 64},
            repeats=tuple({"version": version} for version in range(10)),
            learner=LEARNER,
            algorithms={
                "bilevel_irt": {},
                "first_order_bilevel_irt": {},
                "dkt": {"iterations": 500},
                **FITTED,
            },
            sweep=SWEEP,
            trial_iterations=500,
        ),
        Study(
            dataset="assist2009",
            seeds=(0, 1, 2),
            shots=(25,),
            iterations=1000,
            validations=5,
            data={"tested_shots": (1, 3, 5, 10, 25), "tasks_per_batch": 64},
            learner=LEARNER,
            algorithms={
                "bilevel_irt": GROWTH,
                "first_order_bilevel_irt": GROWTH,
                "maml": PERCEPTRON | {"inner_lr": 0.1},
                "fomaml": PERCEPTRON | {"inner_lr": 0.1},
                "bkt": {},
                "dkt": {},
                **FITTED,
            },
            sweep=SWEEP,
            trial_iterations=500,
        ),
    ),
)
