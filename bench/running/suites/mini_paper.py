"""miniImageNet as in the MAML paper (Finn et al. 2017, table 1 and appendix A.1): its two cells.

Network, batch, rates, steps and iterations are the paper's. Its inner rate of 0.01 is for a loss
summed over the five classes; for the mean loss, as here, it is 0.05. The paper trains with 15
queries of each class and tests with as many as shots; here both are 15. The authors' code also
cuts each entry of the meta-gradient to between -10 and 10, which is not done here.

Hours of training on one core of a server's processor, second and first order, from the time of a
meta-iteration (nobody has measured them on a GPU): 1-shot 39 and 23, 5-shot 57 and 23.
"""

from bench.running.suite import Study, Suite

SUITE = Suite(
    name="mini-paper",
    description="MAML's two miniImageNet cells as in the paper, 3 seeds: a GPU, or 420 core-hours",
    seeds=(0, 1, 2),
    studies=tuple(
        Study(
            dataset="mini_imagenet",
            ways=(5,),
            shots=(shots,),
            iterations=60_000,
            validations=30,
            data={"queries": 15, "tasks_per_batch": tasks, "val_episodes": 200},
            learner={
                "model_options": {"filters": 32},
                "outer_lr": 1e-3,
                "inner_steps": 5,
                "test_steps": 10,
            },
            algorithms={key: {"inner_lr": 0.05} for key in ("maml", "fomaml", "random_init")},
        )
        for shots, tasks in ((1, 4), (5, 2))
    ),
)
