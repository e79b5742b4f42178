"""Synthetic students with 30 questions, of which 3 to 25 were answered, and nothing tuned.

With ``students-many-questions``: do the defaults need a hand where questions and answers are few or
many? Item response theory as it comes stands beside the fitted models.
"""

from dataclasses import replace

from bench.running.suite import Suite
from bench.running.suites import students

UNTUNED = ("bilevel_irt", "first_order_bilevel_irt", "rasch", "two_pl", "item_mean")


def untuned(
    name: str, description: str, iterations: int, tested_shots: tuple[int, ...], **data: int
) -> Suite:
    """The six kinds of students of ``students``, with what needs no rate chosen.

    Args:
        name: of the suite.
        description: one line.
        iterations: meta-iterations.
        tested_shots: answers shown.
        **data: ``items`` and ``queries``, arguments of the data module.
    """
    data |= {"tested_shots": tested_shots, "test_episodes": 2000}
    return Suite(
        name=name,
        description=description,
        studies=tuple(
            replace(
                study,
                shots=tested_shots[-1:],
                iterations=iterations,
                data={**study.data, **data},
                algorithms={n: study.algorithms[n] for n in UNTUNED},
                sweep={},
                trial_iterations=None,
            )
            for study in students.SUITE.studies
        ),
    )


SUITE = untuned(
    name="students-few-questions",
    description="synthetic students with 30 questions and 3 to 25 answers, untuned",
    iterations=1000,
    tested_shots=(3, 10, 25),
    items=30,
    queries=5,
)
