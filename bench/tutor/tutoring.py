"""Whether it pays to let the tutor choose: on made-up students, whose truth is known.

Two questions: after how many answers are skills judged right, for each policy that chooses the
questions; and of students who learn by practice, whether what the tutor gives them to practise
brings mastery sooner than a fixed order.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import expit

from bench.algorithms.bilevel_irt import BilevelIRT
from bench.algorithms.bkt import BKT
from bench.data.bkt import BKTDataModule
from bench.data.growing_skills import GrowingSkillsDataModule
from bench.data.mirt import MIRTDataModule
from bench.data.students.synthetic import SyntheticStudents
from bench.learning.learner import MetaLearner
from bench.tasks import counter_random
from bench.tutor import calibration
from bench.tutor.belief import as_trained, believed, chances, episode
from bench.tutor.judgement import Settings, needs_of, practice_order
from bench.tutor.policies import POLICIES, ranked
from bench.tutor.vocabulary import Vocabulary

ITEMS, SKILLS = 40, 4
GOAL = 0.9  # share of the skills that must be judged right
BINS = 5  # of the probability of mastery, for calibration
FIXED, RANDOM, TUTOR = "fixed order", "random", "tutor"


class Size(NamedTuple):
    """How much is computed.

    Attributes:
        trained_on: made-up students to train each model on.
        steps: meta-iterations of training.
        students: made-up students that are tested.
        questions: how many each is asked.
        practice: how many each practises.
    """

    trained_on: int = 500
    steps: int = 1000
    students: int = 200
    questions: int = 30
    practice: int = 60


class Trained(NamedTuple):
    """A model, the world of its students, and the numbers of the world's items in its order."""

    learner: MetaLearner
    words: Vocabulary
    world: SyntheticStudents
    items: np.ndarray


def train(learner: MetaLearner, world: SyntheticStudents, size: Size, **options: Any) -> Trained:
    """Fits a learner to students of a world, as ``maml-bench fit`` does to a file of theirs."""
    words = calibration.train(learner, world, size.trained_on, size.steps, **options)
    return Trained(learner, words, world, np.array(words.items, int))


# After how many answers skills are judged right --------------------------------------------------


def judging(policies: Sequence[str], size: Size) -> Iterator[tuple[str, dict[str, Any]]]:
    """Asks the same students by each policy, and compares what is judged with the truth.

    The students are those of :mod:`bench.tutor.calibration`: an ability for each skill, and
    questions of one skill each. A skill is mastered where the mean chance of success over its
    questions is above one half, so that one verdict is as frequent as the other.

    Yields:
        The policy, and after each number of questions, from 1: ``right``, the share of skills
        where the likelier verdict is true; ``decided``, the share with a verdict, and
        ``decided_right``, the share of these that are true. ``until_goal``: after how many
        questions ``right`` is :data:`GOAL` and stays there; None: not by the last. ``calibration``:
        for parts of the probability of mastery its mean, the share that is mastered, and how many.
    """
    world = MIRTDataModule(
        dimensions=SKILLS,
        correlation=0.5,
        skills_per_item=1,
        items=ITEMS,
        shots=size.questions,
        queries=ITEMS - size.questions,
    )
    learner = BilevelIRT(model_options={"dimensions": SKILLS})
    trained = train(learner, world, size, shots=size.questions)
    for policy in policies:
        yield policy, _judged(trained, policy, size, calibration.SETTINGS)


def _judged(trained: Trained, policy: str, size: Size, settings: Settings) -> dict[str, Any]:
    learner, words, world, items = trained
    numbers = np.arange(size.students)
    probability = world.probability(world.truth("test", numbers)["ability"])[:, items]
    # an answer of a student to an item is the same, whichever policy asks for it
    key = counter_random.stream("tutoring", "answers")
    answers = counter_random.uniform(key, numbers, world.all_items)[:, items] < probability
    weight = needs_of(words) / np.maximum(needs_of(words).sum(0), 1)
    truth = probability @ weight > settings.mastery
    asked = np.zeros((size.students, 0), int)
    above = []
    for n in range(size.questions):
        tasks = _tasks(asked, answers, words)._replace(index=torch.from_numpy(numbers))
        tasks.query_w.scatter_(1, torch.from_numpy(asked), 0)
        score = POLICIES[policy]([learner], as_trained(learner, tasks, words.shots))
        score = score.masked_fill(tasks.query_w == 0, -torch.inf)
        choice = ranked(score, tasks.index, n)[:, :1].numpy()
        asked = np.concatenate([asked, choice], 1)
        _, draws = believed([learner], _tasks(asked, answers, words), words.shots)
        above.append((draws @ weight > settings.mastery).mean(1))
    return judgements(np.stack(above), truth, settings.certainty)


def _tasks(asked: np.ndarray, answers: np.ndarray, words: Vocabulary):
    right = np.take_along_axis(answers, asked, 1).astype(int)
    return episode(zip(asked, right), words)


def judgements(above: np.ndarray, truth: np.ndarray, certainty: float) -> dict[str, Any]:
    """Compares probabilities of mastery with the truth.

    Args:
        above: ``[questions, students, skills]`` probability of mastery after each question.
        truth: ``[students, skills]`` bool, what is mastered.
        certainty: of a verdict.

    Returns:
        See :func:`judging`.
    """
    right = (above > 0.5) == truth
    decided = (above >= certainty) | (above <= 1 - certainty)
    share = right.mean((1, 2))
    enough = np.logical_and.accumulate((share >= GOAL)[::-1])[::-1]
    part = np.minimum((above * BINS).astype(int), BINS - 1)
    truths = np.broadcast_to(truth, above.shape)
    groups = [(above[part == b], truths[part == b]) for b in range(BINS)]
    return {
        "right": _rounded(share),
        "decided": _rounded(decided.mean((1, 2))),
        "decided_right": [
            round(float(r[d].mean()), 4) if d.any() else None for r, d in zip(right, decided)
        ],
        "until_goal": int(enough.argmax()) + 1 if enough.any() else None,
        "calibration": [
            [round(float(p.mean()), 4), round(float(true.mean()), 4), len(p)]
            for p, true in groups
            if len(p)
        ],
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(v), 4) for v in values]


# Whether practice that the tutor chooses brings mastery sooner -----------------------------------


def practising(size: Size) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Lets the same students practise in a fixed order, at random, and as the tutor says.

    Of ``bkt`` a student has mastered all when every skill is; of ``growing_skills`` when the mean
    chance of success over each concept's questions is above 80 %.

    Yields:
        The data set, the way to choose, and what came out: ``mastered``, the share of students who
        have mastered all, and ``skills``, the share of skills mastered, after each question;
        ``median``: after how many questions half of the students have; None: not by the last.
    """
    settings = Settings()
    length = {"shots": 30, "queries": ITEMS - 30, "items": ITEMS}
    growing = {"concepts": SKILLS, "growth": 0.3, "fixed_order": False, "show_skills": True}
    skills = BKTDataModule(skills=SKILLS, **length)
    concepts = GrowingSkillsDataModule(**growing, **length)

    def of_skills(truth: dict[str, np.ndarray]) -> np.ndarray:
        return truth["mastery"]

    def of_concepts(truth: dict[str, np.ndarray]) -> np.ndarray:
        return concepts_mastered(concepts, truth["ability"], settings.mastery)

    worlds = (
        ("bkt", skills, BKT(), of_skills),
        ("growing_skills", concepts, BilevelIRT(model_options={"dimensions": SKILLS}), of_concepts),
    )
    for name, world, learner, mastered in worlds:
        trained = train(learner, world, size, shots=30, protocol="first")
        for way in (FIXED, RANDOM, TUTOR):
            yield name, way, _practised(trained, way, size, settings, mastered)


def concepts_mastered(world: SyntheticStudents, ability: np.ndarray, mastery: float) -> np.ndarray:
    """Whether the mean chance over a concept's questions is enough, ``[students, concepts]``."""
    guess, found = world.hparams["guess"], []
    for k in range(ability.shape[1]):
        difficulty = world.difficulty[world.concept == k]
        p = guess + (1 - guess) * expit(ability[:, k : k + 1] - difficulty)
        found.append(p.mean(1) > mastery)
    return np.stack(found, 1)


def _practised(
    trained: Trained, way: str, size: Size, settings: Settings, mastered: Callable
) -> dict[str, Any]:
    learner, words, world, items = trained
    numbers = np.arange(size.students)
    order = np.argsort(items)
    key = counter_random.stream("tutoring", "practice")
    u = counter_random.uniform(key, numbers, size.practice)
    asked = np.zeros((size.students, 0), int)
    right = np.zeros((size.students, 0), bool)
    known = []
    for n in range(size.practice):
        if way == FIXED:
            choice = np.full(size.students, order[n % len(order)])
        elif way == RANDOM:
            choice = (u[:, n] * len(items)).astype(int)
        else:
            tasks = episode(zip(asked, right.astype(int)), words)
            chance = chances([learner], tasks, words.shots)
            choice = [_to_practise(*v, words, settings) for v in zip(chance, asked, right)]
        asked = np.concatenate([asked, np.reshape(choice, (-1, 1))], 1)
        # the first answers are the same whatever follows, so they can be drawn again each time
        right, truth = world.answers("test", numbers, items[asked])
        known.append(mastered(truth))
    known = np.stack(known)
    whole = known.all(2).mean(1)
    half = np.flatnonzero(whole >= 0.5)
    return {
        "mastered": _rounded(whole),
        "skills": _rounded(known.mean((1, 2))),
        "median": int(half[0]) + 1 if len(half) else None,
    }


def _to_practise(chance, asked, right, words: Vocabulary, settings: Settings) -> int:
    good = np.bincount(asked, right, minlength=len(chance)).astype(int)
    best = practice_order(chance, good, words, settings)
    return best[0] if best else int(abs(chance - sum(settings.target) / 2).argmin())
