"""Synthetic students of the DINA model: skills mastered or not, slips and lucky guesses."""

from functools import cached_property

import numpy as np
from scipy import special

from bench.base.errors import BenchError
from bench.data.students import q_matrix, quadrature
from bench.data.students.static import StaticStudents
from bench.tasks import counter_random

MOST_SKILLS = 8


class DINADataModule(StaticStudents):
    """Who masters all skills of item j answers it right with ``1 - slip``, others with ``guess``.

    "Deterministic inputs, noisy 'and' gate" (Junker and Sijtsma, Applied Psychological Measurement
    25, 2001; de la Torre, Journal of Educational and Behavioral Statistics 34, 2009). A student
    masters a skill where a standard normal number is below the skill's threshold; each two of
    these numbers have the same correlation (as ``sim.din`` of the R package CDM draws skills).

    The ceiling enumerates the profiles, and is exact. What is known of a new item is its skills,
    not an estimate of its difficulty; its slip and guess enter by their means, which is exact too:
    its response curve is linear in them and each item is met once.

    Args:
        skills: skills, 1 to 8; 3 to 5 are usual.
        skills_per_item: an item needs 1 to this many skills; 3 is usual.
        slip: each item's slip is uniform between these two; (0.05, 0.25) is usual.
        guess: and its guess, likewise. The upper ends add up to less than 1.
        prevalence: the share of students who master a skill is uniform between these two.
        correlation: of the normal numbers behind two skills, 0 to 0.9; 0 to 0.5 is usual.
        **kwargs: see :class:`bench.data.students.synthetic.SyntheticStudents`; ``estimate_noise``
            is not used.
    """

    def __init__(
        self,
        skills: int = 5,
        skills_per_item: int = 3,
        slip: tuple[float, float] = (0.05, 0.25),
        guess: tuple[float, float] = (0.05, 0.25),
        prevalence: tuple[float, float] = (0.3, 0.7),
        correlation: float = 0.3,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.require_at_least("skills", 1)
        self.require_at_least("skills_per_item", 1)
        if skills > min(MOST_SKILLS, self.items):
            raise BenchError(
                f"skills={skills}: give at most {min(MOST_SKILLS, self.items)}; the "
                "ceiling goes through all profiles, and each skill has an item of its own"
            )
        for name in ("slip", "guess", "prevalence"):
            self.require_range(name, 0, 1)
        self.require_number("correlation", 0, 0.9)
        if slip[1] + guess[1] >= 1:
            raise BenchError(
                f"slip={slip!r} and guess={guess!r} can add up to 1 or more: with such an item, "
                "who masters its skills does no better; lower one of them"
            )

    @cached_property
    def q_matrix(self) -> np.ndarray:
        """The skills of each item, each skill alone in some item."""
        return q_matrix.draw(self, self.hparams["skills"])

    @property
    def features(self) -> np.ndarray:
        """The skills of each item."""
        return self.q_matrix.astype(float)

    @cached_property
    def item_parameters(self) -> tuple[np.ndarray, np.ndarray]:
        """Slips and guesses, ``[items + new_items]`` each."""
        u = self.draws("items", np.arange(self.all_items), 2, "parameters")
        slip, guess = (self._between(name, u[:, i]) for i, name in enumerate(("slip", "guess")))
        return slip, guess

    @cached_property
    def thresholds(self) -> np.ndarray:
        """Below which number of its student a skill is mastered, ``[skills]``."""
        u = self.draws("items", np.arange(self.hparams["skills"]), 1, "prevalence")
        return special.ndtri(self._between("prevalence", u[:, 0]))

    def _between(self, name: str, u: np.ndarray) -> np.ndarray:
        low, high = self.hparams[name]
        return low + (high - low) * u

    def latent(self, split, students):
        """Skills mastered, ``[students, skills]`` 0 or 1."""
        skills, shared = len(self.thresholds), self.hparams["correlation"]
        u = self.draws(split, students, 2 * (skills + 1), "mastery")
        z = counter_random.normal(u)[:, : skills + 1]
        number = np.sqrt(shared) * z[:, :1] + np.sqrt(1 - shared) * z[:, 1:]
        return {"mastery": (number < self.thresholds).astype(float)}

    def probability(self, latent):
        """``1 - slip`` where no skill is missing, ``guess`` elsewhere."""
        slip, guess = self.item_parameters
        return np.where(self._able(latent, self.q_matrix), 1 - slip, guess)

    @staticmethod
    def _able(mastery: np.ndarray, q: np.ndarray) -> np.ndarray:
        """Whether all skills that items need are mastered, ``[students, items]``."""
        return (1 - mastery) @ q.T == 0

    @cached_property
    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """All profiles, and how frequent each is."""
        skills, shared = len(self.thresholds), self.hparams["correlation"]
        profiles = np.array(list(np.ndindex(*[2] * skills)), float)
        # Given the part that their numbers share, skills are independent of each other.
        common, weights = quadrature.trapezoid(step=0.05, radius=9)
        away = self.thresholds - np.sqrt(shared) * common[:, None]
        mastered = special.ndtr(away / np.sqrt(1 - shared))[:, None]
        chance = np.where(profiles, mastered, 1 - mastered).prod(-1)
        return profiles, weights @ chance

    def new_curve(self, features):
        """By the means of slip and guess."""
        slip, guess = (np.mean(self.hparams[name]) for name in ("slip", "guess"))
        return np.where(self._able(self.nodes[0], features[None])[:, 0], 1 - slip, guess)
