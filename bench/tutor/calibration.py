"""How often what the tutor says of students is right: on made-up ones, whose truth is known."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lightning import Trainer

from bench.base import registry
from bench.base.errors import BenchError
from bench.data.mirt import MIRTDataModule
from bench.data.student import StudentDataModule
from bench.data.students.synthetic import SyntheticStudents
from bench.learning.learner import MetaLearner
from bench.running.quiet import quiet
from bench.tasks.data_module import EpisodeDataModule
from bench.tutor import vocabulary
from bench.tutor.assessment import Answers, Student, assess
from bench.tutor.judgement import MASTERED, NOT_MASTERED, Settings
from bench.tutor.vocabulary import Vocabulary

ITEMS = 40
TESTED = 400  # students
STEPS = 1000  # meta-iterations of training
SETTINGS = Settings(mastery=0.5)  # so that one verdict is as frequent as the other


class Count(NamedTuple):
    """How many of how many."""

    hits: int
    of: int

    def __str__(self) -> str:
        return f"{self.hits / self.of:.0%} of {self.of:,}" if self.of else "-"


class Figures(NamedTuple):
    """What came out for one model and number of answers, over students and skills.

    Attributes:
        held: intervals that hold the true mean chance of success over the questions.
        mastered: verdicts "mastered" where it is above the threshold.
        not_mastered: verdicts "not mastered" where it is below.
        decided: skills with either verdict.
        without_right: skills of two answers or more, none of them right, that are called mastered.
    """

    held: Count
    mastered: Count
    not_mastered: Count
    decided: Count
    without_right: Count


def measure(
    algorithms: Sequence[str],
    students: int = 500,
    skills: int = 4,
    correlation: float = 0.5,
    dimensions: int | None = None,
    answers: Sequence[int] = (3, 6, 10),
) -> Iterator[tuple[str, int, Figures]]:
    """Trains models as ``maml-bench fit`` does, and compares what is said with the truth.

    The students are those of the data set mirt: an ability for each skill, each two with the same
    correlation, and questions of one skill each, of different difficulty.

    Args:
        algorithms: names in the registry.
        students: to train on.
        skills: how many.
        correlation: of the abilities in two skills.
        dimensions: abilities of bilevel_irt and its like; None: as many as it has by default.
        answers: of each tested student, after which to look.

    Yields:
        Algorithm, number of answers, and what came out.

    Raises:
        BenchError: for an unknown algorithm, or numbers that the data set refuses.
    """
    if min(answers) < 1 or max(answers) > ITEMS:
        raise BenchError(f"answers={list(answers)}: give numbers from 1 to {ITEMS}")
    world = MIRTDataModule(
        dimensions=skills,
        correlation=correlation,
        skills_per_item=1,
        items=ITEMS,
        shots=10,
        queries=ITEMS - 10,
    )
    for name in algorithms:
        options = {"model_options": {"dimensions": dimensions}} if dimensions else {}
        known = registry.arguments("algorithms", name, {})
        learner = registry.create(
            "algorithms", name, **{n: v for n, v in options.items() if n in known}
        )
        words = train(learner, world, students)
        for count in answers:
            yield name, count, _compare(learner, words, world, count)


def fit(learner: MetaLearner, data: EpisodeDataModule, steps: int) -> Trainer:
    """Trains without a word, a file or a validation, on the processor.

    Args:
        learner: to be trained.
        data: its tasks.
        steps: meta-iterations.

    Returns:
        What has trained it.
    """
    with quiet():
        trainer = Trainer(
            max_steps=steps,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
        )
        trainer.fit(learner, datamodule=data)
    return trainer


def train(
    learner: MetaLearner,
    world: SyntheticStudents,
    students: int,
    steps: int = STEPS,
    **options: Any,
) -> Vocabulary:
    """Fits a learner to a file of students, and gives the names of its questions.

    Args:
        learner: to be trained.
        world: whose questions need one skill each, which is told.
        students: how many.
        steps: meta-iterations.
        **options: of :class:`bench.data.student.StudentDataModule`.
    """
    sequences = world.sequences("train", np.arange(students))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "class.csv"
        rows = ["user_id,item_id,skill_id,correct,order_id"]
        for s, (item, right) in enumerate(zip(sequences.item, sequences.answer)):
            skill = world.q_matrix[item].argmax(1)
            answers = enumerate(zip(item, skill, right.astype(int)))
            rows += [f"{s},{i},skill {k},{y},{t}" for t, (i, k, y) in answers]
        path.write_text("\n".join(rows) + "\n")
        data = StudentDataModule(source=str(path), **options)
        fit(learner, data, steps)
        learner.eval()
        return vocabulary.check(data.vocabulary, learner.spec)


def _compare(learner: MetaLearner, words: Vocabulary, world: MIRTDataModule, count: int) -> Figures:
    """Assesses students after some answers, as the command ``student`` does."""
    numbers = np.arange(TESTED)
    sequences = world.sequences("test", numbers)
    place = np.full(ITEMS, -1)
    place[np.array(words.items, int)] = np.arange(len(words.items))
    answers = Answers(
        [str(n) for n in numbers],
        list(place[sequences.item[:, :count]]),
        list(sequences.answer[:, :count].astype(int)),
        [],
    )
    chances = world.probability(world.truth("test", numbers)["ability"])
    found = list(assess([learner], words, answers, SETTINGS))
    return figures(found, chances[:, np.array(words.items, int)], words, SETTINGS)


def figures(
    students: Sequence[Student], chances: np.ndarray, words: Vocabulary, settings: Settings
) -> Figures:
    """Compares what was found with the true chances.

    Args:
        students: what was found.
        chances: ``[students, items]`` of a right answer, in the order of the vocabulary.
        words: the vocabulary.
        settings: of the tutor.
    """
    needs = words.features[:, : len(words.skills)].numpy() > 0
    of_skill = {skill: needs[:, k] for k, skill in enumerate(words.skills)}
    whole = np.ones(len(words.items), bool)
    rows = [
        (row, float(chance[of_skill.get(row["skill"], whole)].mean()))
        for student, chance in zip(students, chances)
        for row in student.skills
    ]
    unlucky = [row["verdict"] for row, _ in rows if row["answers"] >= 2 and not row["right"]]
    above = [true > settings.mastery for row, true in rows if row["verdict"] == MASTERED]
    below = [true < settings.mastery for row, true in rows if row["verdict"] == NOT_MASTERED]
    held = [row["low"] <= true <= row["high"] for row, true in rows if row["low"] is not None]
    judged = sum(bool(row["verdict"]) for row, _ in rows)
    return Figures(
        Count(sum(held), len(held)),
        Count(sum(above), len(above)),
        Count(sum(below), len(below)),
        Count(len(above) + len(below), judged),
        Count(unlucky.count(MASTERED), len(unlucky)),
    )
