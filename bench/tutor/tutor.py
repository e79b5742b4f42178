"""``maml-bench student``: reads students' answers, and reports what a tutor wants to know."""

import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from rich.console import Console

from bench.algorithms.rasch import Rasch
from bench.base.errors import BenchError
from bench.data.students import responses
from bench.data.students.recorded import FEW, few
from bench.data.students.responses import Responses
from bench.data.students.responses.text import shown
from bench.learning import learner_file
from bench.learning.learner import MetaLearner
from bench.tutor import posterior, tutor_report, vocabulary
from bench.tutor.assessment import Answers, Settings, assess, tells_skills_apart
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
) -> None:
    """Prints and writes what the checkpoints predict of the students in a file.

    Args:
        paths: checkpoints; several are averaged, and differ where they are unsure.
        file: of answers, in any format of :func:`bench.data.students.responses.read`.
        out: folder for ``students.json``, ``skills.csv``, ``questions.csv`` and ``pictures``.
        settings: of the tutor.
        console: where to print.
        columns: see :func:`bench.data.students.responses.read`.
        skip_unknown: whether to leave out answers to unknown questions; otherwise refused.
        pictures: whether to draw one of each student.

    Raises:
        BenchError: what is wrong with checkpoints, answers or the folder; nothing is written then.
    """
    learners, words = load(paths)
    found = responses.read(file, columns)
    answers = known(found, words, str(file), skip_unknown)
    counts, order, *_ = found.sentences()
    about = tutor_report.About(
        checkpoints=[str(path) for path in paths],
        algorithms=[type(learner).__name__ for learner in learners],
        answers=str(file),
        read=[f"Read {file}: {counts}", order],
        shots=words.shots,
        settings=settings,
        notes=[*answers.notes, *_of_the_model(learners, words)],
    )
    tutor_report.show_input(about, console)
    students = list(assess(learners, words, answers, settings))
    tutor_report.write(students, about, out, pictures)
    tutor_report.show(students, about, out, console)


def load(paths: Sequence[str | Path]) -> tuple[list[MetaLearner], Vocabulary]:
    """The learners of checkpoints, and what their questions are called.

    Raises:
        BenchError: if one cannot be opened, is not of students, or is of other questions.
    """
    learners, first = [], None
    for path in paths:
        learner = learner_file.load(path)
        if learner.spec.kind != "answers" or learner.vocabulary is None:
            raise BenchError(
                f"{path} is not of questions to students (but of {learner.spec.kind}), or of a "
                "data set that does not say what they are called: train one on students, such as "
                "with maml-bench fit --model BilevelIRT --data StudentDataModule"
            )
        try:
            words = vocabulary.check(learner.vocabulary, learner.spec)
        except BenchError as error:
            raise BenchError(f"{path}: {error}") from None
        first = first or words
        if not words.same_as(first):
            raise BenchError(f"{path} is of other questions than {paths[0]}: use them apart")
        learners.append(learner)
    return learners, first


def known(responses: Responses, words: Vocabulary, where: str, skip: bool) -> Answers:
    """The answers to questions that the model knows.

    Args:
        responses: as read from the file.
        words: the names that the model knows.
        where: the file, for messages.
        skip: whether to leave out answers to unknown questions; otherwise they are refused.

    Raises:
        BenchError: for unknown questions, or if no student has answered a known one.
    """
    # composed letters, as the reader of answers has them; a checkpoint may be of before it did so
    number = {unicodedata.normalize("NFC", name): i for i, name in enumerate(words.items)}
    numbers = np.array([number.get(name, -1) for name in responses.items], np.int64)
    unknown = [name for name, i in zip(responses.items, numbers) if i < 0]
    if unknown and (not skip or len(unknown) == len(numbers)):
        raise BenchError(_unknown(unknown, len(numbers), words.items, where))
    notes = [_sentence(note) for note in responses.notes]
    found = Answers([], [], [], notes, responses.ordered)
    without = []
    for s, name in enumerate(responses.students):
        part = slice(responses.starts[s], responses.starts[s + 1])
        item = numbers[responses.item[part]]
        if not (item >= 0).any():
            without.append(name)
            continue
        found.students.append(name)
        found.item.append(item[item >= 0])
        found.right.append(responses.answer[part][item >= 0])
    if unknown:
        dropped = int((numbers[responses.item] < 0).sum())
        found.notes.append(
            f"Skipped {dropped:,} answers to questions unknown to the checkpoint: {_few(unknown)}."
        )
    if without:
        found.notes.append(f"Left out, without an answer to a known question: {_few(without)}.")
    return found


def _of_the_model(learners: list[MetaLearner], words: Vocabulary) -> list[str]:
    """What a reader must know of the model, in sentences."""
    found, count = [], len(words.skills)
    names = ", ".join(dict.fromkeys(type(learner).__name__ for learner in learners))
    if count > 1 and not tells_skills_apart(learners, words):
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


def _unknown(unknown: list[str], of: int, names: list[str], where: str) -> str:
    hints = []
    for name in unknown[:5]:
        near = get_close_matches(name, names, n=1, cutoff=0.6)
        hints.append(f"{shown(name)}" + (f" (nearest: {shown(near[0])})" if near else ""))
    more = f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else ""
    message = (
        f"{where}: {len(unknown):,} of its {of:,} questions are unknown to the checkpoint: "
        f"{', '.join(hints)}{more}; known ones are called {_few(names)}"
    )
    if len(unknown) == of:
        return f"{message}. No known question is left: were the answers made with other names?"
    return f"{message}. Mend the names, or leave these answers out with --unknown-items skip"


def _few(names: list[str]) -> str:
    more = f", ... ({len(names):,} in all)" if len(names) > 5 else ""
    return ", ".join(shown(name) for name in names[:5]) + more


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:]}."
