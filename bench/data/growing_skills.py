"""Synthetic students whose skills grow with practice, as in the paper on deep knowledge tracing."""

from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import expit

from bench.base.errors import BenchError
from bench.data.students.quadrature import logistic_step, trapezoid
from bench.data.students.synthetic import SyntheticStudents
from bench.tasks import counter_random
from bench.tasks.questions import FEATURES, ITEM, POSITION

RADIUS = 7.0  # normal numbers beyond it have a probability of 3e-12
AT_ONCE = 250  # students, so that a step's arrays stay in the processor's cache


class GrowingSkillsDataModule(SyntheticStudents):
    """A right answer has probability ``c + (1 - c) s(alpha - beta)``, and alpha grows.

    The students of "Synthetic-5" (Piech et al., "Deep knowledge tracing", NeurIPS 2015, appendix):
    an item of difficulty beta belongs to one concept; a student has an ability alpha for each,
    normal at first, which grows at every attempt at an item of the concept; all answer the same
    items in the same order and the concepts are not told. The paper prints c = 0.25 and no other
    number; the defaults are near those that fit the published answers best.

    Args:
        concepts: how many there are; the paper has 1 to 5.
        ability_mean: mean of the abilities before the first question.
        ability_sd: their standard deviation.
        growth: what each attempt adds to the ability; after a right answer, if ``growth_wrong``
            is given.
        growth_wrong: what a wrong answer adds; None: as much as a right one.
        difficulty_sd: standard deviation of beta, which is normal with mean 0.
        guess: c.
        show_skills: whether methods see the concept of each item; needed for ``new_items``.
        items: see :class:`bench.data.students.synthetic.SyntheticStudents`; 50 in the paper.
        fixed_order: as there.
        **kwargs: as there.
    """

    def __init__(
        self,
        concepts: int = 5,
        ability_mean: float = 0.0,
        ability_sd: float = 3.0,
        growth: float = 0.1,
        growth_wrong: float | None = None,
        difficulty_sd: float = 1.0,
        guess: float = 0.1,
        show_skills: bool = False,
        items: int = 50,
        fixed_order: bool = True,
        **kwargs,
    ):
        super().__init__(items=items, fixed_order=fixed_order, **kwargs)
        self.require_at_least("concepts", 1)
        for name in ("ability_mean", "growth", "growth_wrong"):
            if self.hparams[name] is not None:
                self.require_number(name, -10, 10)
        self.require_number("ability_sd", 0, 10)
        self.require_number("difficulty_sd", 0, 10)
        self.require_number("guess", 0, 0.99)
        if self.has_new_items and not show_skills:
            raise BenchError("new_items are known by their concepts: set show_skills=True")

    # Items -------------------------------------------------------------------------------------

    @cached_property
    def concept(self) -> np.ndarray:
        """The concept of each item, ``[items + new_items]``, each as often as any other."""
        blocks = self.draws("items", np.arange(self.all_items), self.hparams["concepts"], "concept")
        return blocks.argsort(1).ravel()[: self.all_items]

    @cached_property
    def difficulty(self) -> np.ndarray:
        """The beta of each item, ``[items + new_items]``."""
        u = self.draws("items", np.arange(self.all_items), 2, "difficulty")
        return self.hparams["difficulty_sd"] * counter_random.normal(u)[:, 0]

    @property
    def q_matrix(self) -> np.ndarray:
        """The concept of each item, ``[items + new_items, concepts]`` bool, if it is shown."""
        shown = self.hparams["concepts"] if self.hparams["show_skills"] else 0
        return self.concept[:, None] == np.arange(shown)

    # Students ----------------------------------------------------------------------------------

    @property
    def growths(self) -> tuple[float, float]:
        """What a wrong and what a right answer adds to the ability."""
        right, wrong = self.hparams["growth"], self.hparams["growth_wrong"]
        return right if wrong is None else wrong, right

    def answers(self, split, students, item):
        """Abilities, then answers that make them grow, question by question."""
        concepts, guess = self.hparams["concepts"], self.hparams["guess"]
        z = counter_random.normal(self.draws(split, students, concepts + concepts % 2, "ability"))
        ability = self.hparams["ability_mean"] + self.hparams["ability_sd"] * z[:, :concepts]
        u = self.draws(split, students, item.shape[1], "answers")
        answer, rows = np.empty(item.shape, bool), np.arange(len(item))
        for t, now in enumerate(item.T):
            concept = self.concept[now]
            p = guess + (1 - guess) * expit(ability[rows, concept] - self.difficulty[now])
            answer[:, t] = u[:, t] < p
            ability[rows, concept] += np.where(answer[:, t], *self.growths[::-1])
        return answer, {"ability": ability}

    # The ceiling -------------------------------------------------------------------------------

    def ceiling(self, x, answer, support):
        """Concept by concept, which are independent: a grid over the ability at the start."""
        concept, *item = self._items_of(x)
        there, right = x[..., POSITION] >= 0, np.full(answer.shape, 0.5)
        for k in range(self.hparams["concepts"]):
            mine = there & (concept == k)
            order = np.argsort(~mine, 1, kind="stable")[:, : mine.sum(1).max()]
            rows = [np.take_along_axis(v, order, 1) for v in (*item, answer, support & mine)]
            parts = [[v[at : at + AT_ONCE] for v in rows] for at in range(0, len(x), AT_ONCE)]
            p = np.concatenate([self._concept(*part) for part in parts])
            found = np.empty(answer.shape)
            np.put_along_axis(found, order, p, 1)
            right[mine] = found[mine]
        return right

    @property
    def _counts(self) -> bool:
        """Whether right answers need to be counted, as they make the ability grow otherwise."""
        return len(set(self.growths)) > 1

    def _items_of(self, x):
        """Concept, expected difficulty, whether it is a new item; ``[students, length]`` each."""
        number = x[..., ITEM].astype(np.int64)
        new = number == self.items
        known = np.where(new, 0, number)
        concept, mean = self.concept[known], self.difficulty[known]
        if self.has_new_items:
            concept = np.where(new, x[..., FEATURES:-1].argmax(-1), concept)
            mean = np.where(new, self._estimates[0] * x[..., -1], mean)
        return concept, mean, new

    @property
    def _estimates(self) -> tuple[float, float]:
        """A new item's difficulty is normal around its estimate, shrunk by this, with this sd."""
        prior, noise = self.hparams["difficulty_sd"] ** 2, self.hparams["estimate_noise"] ** 2
        share = prior / (prior + noise) if prior else 0.0
        return share, np.sqrt(prior * (1 - share))

    @cached_property
    def _new_curve(self) -> CubicSpline:
        """``s(alpha - beta)`` averaged over a new item's beta, by alpha minus the mean of beta.

        The spline is off by less than 2e-11: its step's fourth power, times 5/384, times the
        greatest fourth derivative, 0.13 (Hall, Journal of Approximation Theory 1, 1968).
        """
        sd = self._estimates[1]
        z, weight = trapezoid(logistic_step(sd), RADIUS)
        at = np.arange(-40 - RADIUS * sd, 40 + RADIUS * sd, 0.01)  # beyond, it is 0 or 1
        return CubicSpline(at, sum(w * expit(at - sd * v) for w, v in zip(weight, z)))

    @cached_property
    def _grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Abilities at the start, ``[nodes]``, and their probabilities.

        n answers leave a variance of at least ``1 / (1 / sd^2 + n / 4)``; with a step below its
        root the error is 3e-10.
        """
        mean, sd = self.hparams["ability_mean"], self.hparams["ability_sd"]
        most = min(np.bincount(self.concept).max(), self.length)
        step = min(logistic_step(sd), 0.95 / np.sqrt(1 + most * sd**2 / 4))  # 0 without spread
        z, weight = trapezoid(step, RADIUS)
        return mean + sd * z, weight

    def _right(self, ability, mean, new):
        """Probability of a right answer, ``[nodes, counts, students]``."""
        p = expit(ability - mean)
        if new.any():
            curve = self._new_curve
            p[..., new] = curve(np.clip(ability - mean[new], *curve.x[[0, -1]]))
        return self.hparams["guess"] + (1 - self.hparams["guess"]) * p

    def _concept(self, mean, new, answer, support):
        """Forward-backward over ability at the start and, where it matters, right answers so far.

        Args:
            mean: ``[students, length]`` expected difficulty of the items of one concept, in the
                order of time.
            new: ``[students, length]`` bool, whether it is not known exactly.
            answer: ``[students, length]`` bool.
            support: ``[students, length]`` bool.

        Returns:
            ``[students, length]`` probability of right answers.
        """
        (nodes, weight), (by_wrong, by_right) = self._grid, self.growths
        counts = self._counts
        students, length = answer.shape
        may_right, may_wrong = (~support | answer).T, (~support | ~answer).T

        def right(t):
            count = np.arange(t + 1 if counts else 1)
            ability = nodes[:, None] + by_wrong * t + (by_right - by_wrong) * count
            # Many students meet the same item. A pair as one number, for unique.
            items, of = np.unique(mean[:, t] + 1j * new[:, t], return_inverse=True)
            p = self._right(ability[..., None], items.real, items.imag > 0)
            return p if len(items) == 1 else p[..., of]

        state = np.tile(weight[:, None, None], students)
        before = []  # [nodes, counts, students] each
        for t in range(length):
            before.append(state)
            to_right = state * right(t)
            to_wrong = (state - to_right) * may_wrong[t]
            to_right *= may_right[t]
            if counts:
                state = np.zeros((len(nodes), t + 2, students))
                state[:, 1:] = to_right
                state[:, :-1] += to_wrong
            else:
                state = to_right + to_wrong
            state /= state.sum((0, 1))
        result, later = np.empty((students, length)), np.ones_like(state)
        for t in reversed(range(length)):
            p = right(t)
            after_right, after_wrong = (later[:, 1:], later[:, :-1]) if counts else (later, later)
            to_right, to_wrong = p * after_right, (1 - p) * after_wrong
            chance, other = (np.einsum("ijk,ijk->k", before[t], v) for v in (to_right, to_wrong))
            result[:, t] = chance / (chance + other)
            to_right *= may_right[t]
            to_wrong *= may_wrong[t]
            later = to_right + to_wrong
            later /= later.max((0, 1))
        return result
