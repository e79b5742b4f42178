"""Synthetic students of several styles: how fast they learn, how they guess, what they forget."""

from functools import cached_property

import numpy as np

from bench.base.errors import BenchError, nearest
from bench.data.students.mastery import Dynamics, check_ranges, draw, needed, predict
from bench.data.students.synthetic import SyntheticStudents
from bench.tasks.questions import FEATURES

STYLES = {  # the share of students, then ranges over the skills
    "quick": {
        "share": 0.25,
        "prior": (0.2, 0.8),
        "learn": (0.3, 0.5),
        "forget": (0.0, 0.02),
        "guess": (0.1, 0.2),
        "slip": (0.1, 0.25),
    },
    "careful": {
        "share": 0.35,
        "prior": (0.1, 0.6),
        "learn": (0.05, 0.15),
        "forget": (0.0, 0.02),
        "guess": (0.05, 0.15),
        "slip": (0.02, 0.08),
    },
    "guessing": {
        "share": 0.2,
        "prior": (0.0, 0.3),
        "learn": (0.01, 0.05),
        "forget": (0.0, 0.05),
        "guess": (0.3, 0.45),
        "slip": (0.15, 0.3),
    },
    "forgetful": {
        "share": 0.2,
        "prior": (0.2, 0.8),
        "learn": (0.15, 0.4),
        "forget": (0.15, 0.3),
        "guess": (0.05, 0.2),
        "slip": (0.05, 0.15),
    },
}


class LearningStylesDataModule(SyntheticStudents):
    """A student is of one of several styles, each a Bayesian knowledge tracing of its own.

    As :class:`bench.data.bkt.BKTDataModule`, with one skill a question, but every style has its own
    prior, learn, forget, guess and slip for every skill, uniform in the ranges of the style; a
    wide range of prior makes a style strong in some skills and weak in others. That students
    differ in prior and in speed: Pardos and Heffernan, UMAP 2010; Yudelson, Koedinger and Gordon,
    AIED 2013; in forgetting: Khajah, Lindsey and Mozer, EDM 2016; that some guess their way
    through: Baker, Corbett and Koedinger, ITS 2004. The mixture and its numbers are this suite's.

    The questions of a skill are alike, so no difficulty is shown.

    Args:
        skills: how many there are.
        styles: ``{name: {"share": weight, "prior": (least, greatest), "learn", "forget", "guess",
            "slip"}}``; what is left out of a style of :data:`STYLES` is as there. Shares are
            relative to their sum. None: all of :data:`STYLES`.
        **kwargs: see :class:`bench.data.students.synthetic.SyntheticStudents`.
    """

    def __init__(self, skills: int = 5, styles: dict[str, dict] | None = None, **kwargs):
        super().__init__(**kwargs)
        self.require_at_least("skills", 1)
        if styles is not None and not (isinstance(styles, dict) and styles):
            raise BenchError(f"styles={styles!r}: give {{name: {{...}}}}, or leave it out")
        for name, style in (styles or {}).items():
            if not isinstance(style, dict):
                raise BenchError(f"styles: {name}={style!r}: give {{'learn': (0.1, 0.3), ...}}")
        for name, style in self.styles.items():
            _check(name, style)

    @property
    def styles(self) -> dict[str, dict]:
        """Share and ranges of each style."""
        given = self.hparams["styles"]
        if given is None:
            return STYLES
        return {name: STYLES.get(name, {}) | style for name, style in given.items()}

    @property
    def shares(self) -> np.ndarray:
        """The share of students of each style, ``[styles]``."""
        shares = np.array([style["share"] for style in self.styles.values()], float)
        return shares / shares.sum()

    @cached_property
    def dynamics(self) -> Dynamics:
        """The numbers of each style and skill, ``[styles, skills]`` each."""
        skills, styles = self.hparams["skills"], list(self.styles.values())
        number = np.arange(len(styles) * skills)
        u = self.draws("items", number, 5, "dynamics").reshape(len(styles), skills, 5)
        ranges = np.array([[style[name] for name in Dynamics._fields] for style in styles])
        low, high = np.moveaxis(ranges, 2, 0)[:, :, None]  # [styles, 1, 5]
        return Dynamics(*np.moveaxis(low + (high - low) * u, 2, 0))

    @cached_property
    def q_matrix(self) -> np.ndarray:
        """The skill of each item, ``[items + new_items, skills]`` bool."""
        number, skills = np.arange(self.all_items), self.hparams["skills"]
        first = self.draws("items", number, skills, "skill")
        return needed(first, np.zeros((len(number), 1 + skills)), 1)

    @property
    def features(self) -> np.ndarray:
        """The skill of each item; there is nothing else to know."""
        return self.q_matrix.astype(float)

    def style(self, split: str, students: np.ndarray) -> np.ndarray:
        """The style of students, ``[students]`` places in :attr:`styles`."""
        u = self.draws(split, students, 1, "style")[:, 0]
        return np.searchsorted(self.shares.cumsum()[:-1], u, "right")

    def answers(self, split, students, item):
        """Answers, then learning, question by question, as the student's style has it."""
        style, (count, length) = self.style(split, students), item.shape
        answer, mastered = draw(
            Dynamics(*(v[style] for v in self.dynamics)),
            self.q_matrix[item],
            self.draws(split, students, self.hparams["skills"], "prior"),
            self.draws(split, students, length, "change").reshape(count, length, 1),
            self.draws(split, students, length, "answers"),
        )
        return answer, {"mastery": mastered}

    def ceiling(self, x, answer, support):
        """Every style predicts, weighed by its probability given the support answers."""
        needs = x[..., FEATURES:] > 0.5
        each = [predict(Dynamics(*v), needs, answer, support) for v in zip(*self.dynamics)]
        right, evidence = (np.stack(v) for v in zip(*each))
        weight = evidence + np.log(self.shares)[:, None]
        weight = np.exp(weight - weight.max(0))
        return (right * (weight / weight.sum(0))[..., None]).sum(0)


def _check(name: str, style: dict) -> None:
    """Refuses a style that lacks something or has a wrong number.

    Raises:
        BenchError: names it.
    """
    wanted = ("share", *Dynamics._fields)
    for part in style:
        if part not in wanted:
            raise BenchError(f"styles: {name} has no {part!r}: {nearest(part, wanted)}")
    missing = [part for part in wanted if part not in style]
    if missing:
        known = ", ".join(STYLES)
        raise BenchError(f"styles: {name} lacks {missing[0]!r}: give it (complete ones: {known})")
    share = style["share"]
    if not isinstance(share, int | float) or not 0 < share < np.inf:
        raise BenchError(f"styles: share={share!r} of {name}: give a number above 0")
    check_ranges(style, f"styles: {name}: ")
