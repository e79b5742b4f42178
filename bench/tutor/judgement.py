"""What is made of chances: skills mastered or not, whether that is sure, and what to practise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.base.errors import BenchError
from bench.tutor.vocabulary import Vocabulary

MASTERED, UNDECIDED, NOT_MASTERED = "mastered", "undecided", "not mastered"
NOT_ASKED = "not asked yet"  # what people are told instead of one of these
LEAST = 2  # answers on a skill, before it counts as known


@dataclass(frozen=True)
class Settings:
    """What the tutor may choose.

    Attributes:
        target: questions whose chance of success lies between these are for practice.
        mastery: a skill is mastered when the mean chance of success over its questions is above
            this, and not mastered when below,
        certainty: each with at least this probability; undecided otherwise. Intervals leave out
            ``1 - certainty`` at each end, so that they lie wholly on one side when it is decided.
        questions: how many next questions to name.
        latest: how many answers of a student to use, the latest; None: all.
        width: a skill is known well enough when it is decided, or its interval no wider than this.
    """

    target: tuple[float, float] = (0.6, 0.8)
    mastery: float = 0.8
    certainty: float = 0.9
    questions: int = 5
    latest: int | None = None
    width: float = 0.2

    def __post_init__(self):
        low, high = self.target
        if not 0 <= low < high <= 1:
            raise BenchError(
                f"--target {low:g} {high:g}: give two chances from 0 to 1, the lower one first"
            )
        if not 0 < self.mastery < 1:
            raise BenchError(f"--mastery {self.mastery:g}: give a chance between 0 and 1")
        if not 0.5 < self.certainty < 1:
            raise BenchError(f"--certainty {self.certainty:g}: give one between 0.5 and 1")
        if self.questions < 1:
            raise BenchError(f"--questions {self.questions}: give at least 1")
        if self.latest is not None and self.latest < 1:
            raise BenchError(f"--latest {self.latest}: give at least 1")
        if not 0 <= self.width <= 1:
            raise BenchError(f"--width {self.width:g}: give one from 0 to 1")


def skill_rows(
    used: tuple[np.ndarray, np.ndarray],
    chance: np.ndarray,
    draws: np.ndarray | None,
    apart: bool,
    words: Vocabulary,
    settings: Settings,
) -> list[dict[str, Any]]:
    """A student's skills, as in :class:`Student`.

    Args:
        used: numbers of the questions answered, and the answers.
        chance: ``[items]`` of a right answer.
        draws: ``[draws, items]``, or None.
        apart: whether the model tells skills apart.
        words: names of the questions and skills.
        settings: of the tutor.
    """
    needs, skills = needs_of(words), words.skills
    if not apart and len(skills) != 1:
        needs, skills = np.ones((len(chance), 1), bool), ["all questions"]
    weight = needs / np.maximum(needs.sum(0), 1)
    met = np.bincount(used[0], minlength=len(chance))
    good = np.bincount(*used, minlength=len(chance)).astype(int)
    by_skill = judged(chance @ weight, None if draws is None else draws @ weight, settings)
    found = [
        {"skill": skills[k], "questions": int(needs[:, k].sum())}
        | {"answers": int(met @ needs[:, k]), "right": int(good @ needs[:, k])}
        | row
        for k, row in enumerate(by_skill)
        if needs[:, k].any()
    ]
    if words.skills and skills != words.skills:
        found[0]["verdict"] = ""
    return found


def told(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A student's skills as people are told of them.

    What is believed of a skill that was never asked for is what is usual among students, however
    sure: that is no verdict on this one.
    """
    return [
        row | {"verdict": NOT_ASKED} if row["verdict"] and not row["answers"] else row
        for row in rows
    ]


def sure_enough(rows: Sequence[dict[str, Any]], settings: Settings) -> bool:
    """Whether more questions are not needed to judge a student's skills.

    A skill is known well enough when it is decided, or its interval narrow, and not by what is
    usual among students alone: it was asked for twice, or as often as there are questions.

    Args:
        rows: as :func:`skill_rows` gives them; without intervals one is never sure.
        settings: of the tutor: mastery and width.
    """
    return all(
        row["low"] is not None
        and row["answers"] >= min(LEAST, row["questions"])
        and (
            row["low"] > settings.mastery
            or row["high"] < settings.mastery
            or row["high"] - row["low"] <= settings.width
        )
        for row in rows
    )


def to_practise(
    chance: np.ndarray, good: np.ndarray, words: Vocabulary, settings: Settings
) -> np.ndarray:
    """Numbers of the questions with a chance of success in the target zone, its middle first.

    Args:
        chance: ``[items]`` of a right answer.
        good: ``[items]`` how often each was answered right: those are left out.
        words: names of the questions.
        settings: of the tutor.
    """
    low, high = settings.target
    found = np.flatnonzero((chance >= low) & (chance <= high) & ((good == 0) | repeats(words)))
    return found[np.argsort(abs(chance[found] - (low + high) / 2), kind="stable")]


def practice_order(
    chance: np.ndarray, good: np.ndarray, words: Vocabulary, settings: Settings
) -> list[int]:
    """All questions that may be practised: those of :func:`to_practise`, then the others.

    Those that are too hard come before those that are known already, the nearest of each first:
    where a slip or a guess leaves no chance in between, practice is of what is not mastered.

    Args:
        chance: as there, like the others.
        good: how often each was answered right.
        words: names of the questions.
        settings: of the tutor.
    """
    found = to_practise(chance, good, words, settings).tolist()
    known = chance > settings.target[1]
    near = np.lexsort((abs(chance - sum(settings.target) / 2), known)).tolist()
    return found + [i for i in near if (not good[i] or repeats(words)) and i not in set(found)]


def repeats(words: Vocabulary) -> bool:
    """Whether a question can be asked again: known by its skill alone, it stands for any of it."""
    return set(words.items) == set(words.skills)


def needs_of(words: Vocabulary) -> np.ndarray:
    """Which skills each question needs, ``[items, skills]`` bool."""
    return words.features[:, : len(words.skills)].numpy() > 0


def judged(chance: np.ndarray, draws: np.ndarray | None, settings: Settings) -> list[dict]:
    """Chance, interval and verdict of each of several, ``[several]`` and ``[draws, several]``."""
    ends = above = [None] * len(chance)
    decided = np.stack([chance, chance])
    if draws is not None:
        c = settings.certainty
        decided = np.quantile(draws, [1 - c, c], axis=0)
        ends = [[round(float(v), 4) for v in pair] for pair in decided.T]
        above = (draws > settings.mastery).mean(0).round(4).tolist()
    found = []
    for p, end, share, (low, high) in zip(chance, ends, above, decided.T):
        verdict = UNDECIDED
        if low > settings.mastery:
            verdict = MASTERED
        elif high < settings.mastery:
            verdict = NOT_MASTERED
        low, high = end or (None, None)
        found.append({"chance": round(float(p), 4), "low": low, "high": high, "above": share})
        found[-1]["verdict"] = verdict
    return found
