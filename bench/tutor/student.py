"""``maml-bench student``: reads students' answers, and reports what a tutor wants to know."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.algorithms.rasch import Rasch
from bench.base.errors import BenchError
from bench.data.students import responses
from bench.data.students.recorded import FEW, few
from bench.learning.learner import MetaLearner
from bench.tutor import posterior, student_report
from bench.tutor.assessment import assess
from bench.tutor.belief import tells_skills_apart
from bench.tutor.judgement import Settings
from bench.tutor.reading import known, load
from bench.tutor.vocabulary import Vocabulary


def report(
    paths: Sequence[str | Path],
    file: Path,
    out: Path,
    settings: Settings,
    console: Console,
    columns: dict[str, str] | None = None,
    skip_unknown: bool = False,
    pictures: bool = True,
    temperature: float = 1.0,
) -> None:
    """Prints and writes what the checkpoints predict of the students in a file.

    Args:
        paths: checkpoints; several are averaged, and differ where they are unsure.
        file: of answers, in any format of :func:`bench.data.students.responses.read`.
        out: folder for ``students.json``, ``class.html``, tables and ``pictures``.
        settings: of the tutor.
        console: where to print.
        columns: see :func:`bench.data.students.responses.read`.
        skip_unknown: whether to leave out answers to unknown questions; otherwise refused.
        pictures: whether to draw one of each student.
        temperature: what the log-odds of all chances are divided by, as ``compare`` may advise.

    Raises:
        BenchError: what is wrong with checkpoints, answers or the folder; nothing is written then.
    """
    if not 0 < temperature < float("inf"):
        raise BenchError(f"--temperature {temperature:g}: give a number above 0")
    learners, words = load(paths)
    found = responses.read(file, columns)
    answers = known(found, words, str(file), skip_unknown)
    counts, order, *_ = found.sentences()
    about = student_report.About(
        checkpoints=[str(path) for path in paths],
        algorithms=[type(learner).__name__ for learner in learners],
        answers=str(file),
        read=[f"Read {file}: {counts}", order],
        shots=words.shots,
        settings=settings,
        notes=[*answers.notes, *_of_the_model(learners, words)],
    )
    if temperature != 1:
        about.notes.append(f"Chances are given with log-odds divided by {temperature:g}.")
    student_report.show_input(about, console)
    students = [s.as_told() for s in assess(learners, words, answers, settings, temperature)]
    student_report.write(students, about, out, pictures)
    student_report.show(students, about, out, console)


def _of_the_model(learners: list[MetaLearner], words: Vocabulary) -> list[str]:
    """What a reader must know of the model, in sentences."""
    found, count = [], len(words.skills)
    names = ", ".join(dict.fromkeys(type(learner).__name__ for learner in learners))
    if count > 1 and not tells_skills_apart(learners):
        found.append(
            f"{names} does not tell skills apart: what it says is of all questions together, and "
            f"nothing of each of the {count} skills; for these, train BilevelIRT."
        )
    fewest = min((posterior.abilities(learner) or count for learner in learners), default=count)
    if 1 < fewest < count:
        found.append(
            f"{names} knows a student by {fewest} abilities, fewer than the {count} skills: the "
            "intervals of skills are too narrow; train with "
            f"""--model.model_options '{{"dimensions": {count}}}' for better ones."""
        )
    many = not all(isinstance(learner, Rasch) for learner in learners)
    if many and words.trained_on is not None and words.trained_on < FEW:
        found.append(few(words.trained_on))
    return found
