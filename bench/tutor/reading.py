"""Reads what the tutor works with: checkpoints of models of students, and students' answers."""

import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from bench.base.errors import BenchError
from bench.data.students.responses import Responses
from bench.data.students.responses.text import shown
from bench.learning import learner_file
from bench.learning.learner import MetaLearner
from bench.tutor import vocabulary
from bench.tutor.assessment import Answers
from bench.tutor.vocabulary import Vocabulary


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
