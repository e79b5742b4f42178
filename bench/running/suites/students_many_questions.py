"""Synthetic students with 2,000 questions, of which 3 to 300 were answered, and nothing tuned.

See ``students-few-questions``.
"""

from bench.running.suites.students_few_questions import untuned

SUITE = untuned(
    name="students-many-questions",
    description="synthetic students with 2,000 questions and 3 to 300 answers, untuned",
    iterations=300,  # each question is answered 3,000 times in them
    tested_shots=(3, 25, 300),
    items=2000,
    queries=25,
)
