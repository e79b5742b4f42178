"""Synthetic students of compensatory multidimensional item response theory."""

from functools import cached_property

import numpy as np
from scipy import special

from bench.base.errors import BenchError
from bench.data.students import q_matrix, quadrature
from bench.data.students.static import StaticStudents
from bench.tasks import counter_random

# Rules for the ceiling, finest first: step in widths of a posterior, and how far the nodes go.
RULES = ((0.8, 6.0), (1.0, 5.5), (1.1, 5.0))
MOST_NODES = 2**17


class MIRTDataModule(StaticStudents):
    """A student of abilities ``theta`` answers item j right with ``s(a_j . theta - b_j)``.

    The compensatory multidimensional 2PL (Reckase, "Multidimensional Item Response Theory",
    Springer 2009, chapter 4; his intercept d is -b). A dimension is a skill: an item loads on the
    skills that the Q-matrix says it needs, and strength in one makes up for weakness in another.
    Abilities are standard normal, each two with the same correlation.

    The ceiling is a trapezoidal rule over the abilities, as fine as 131,072 nodes allow: with usual
    parameters within 1e-5 of a much finer one for up to three dimensions, 2e-4 for four and five.
    Where the coarsest does not fit (five dimensions with more than some 25 answers shown), the
    arguments are refused. A new item is averaged over its loadings as drawn and over b given its
    estimate.

    Args:
        dimensions: abilities, 1 to 5; 2 or 3 are usual.
        correlation: of each two abilities, 0 to 0.9; 0 to 0.7 is usual.
        skills_per_item: an item needs 1 to this many skills, at most 3.
        discrimination_sd: a loading's logarithm is normal with mean 0 and this standard deviation,
            0 to 1; 0.3 to 0.5 is usual.
        difficulty_sd: standard deviation of b, whose mean is 0; 0 to 3, 1 is usual.
        **kwargs: see :class:`bench.data.students.synthetic.SyntheticStudents`.
    """

    def __init__(
        self,
        dimensions: int = 3,
        correlation: float = 0.3,
        skills_per_item: int = 2,
        discrimination_sd: float = 0.3,
        difficulty_sd: float = 1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, most in (("dimensions", min(5, self.items)), ("skills_per_item", 3)):
            self.require_at_least(name, 1)
            self.require_number(name, 1, most)
        self.require_number("correlation", 0, 0.9)
        self.require_number("discrimination_sd", 0, 1)
        self.require_number("difficulty_sd", 0, 3)
        if self.rule is None:
            raise BenchError(
                f"dimensions={dimensions} with {self.most_shown} answers shown: the ceiling would "
                "take too long; give fewer dimensions or a smaller shots"
            )

    @cached_property
    def q_matrix(self) -> np.ndarray:
        """The skills of each item, each skill alone in some item."""
        return q_matrix.draw(self, self.hparams["dimensions"])

    @cached_property
    def item_parameters(self) -> tuple[np.ndarray, np.ndarray]:
        """Loadings a ``[items + new_items, dimensions]`` and b ``[items + new_items]``."""
        numbers, skills = np.arange(self.all_items), self.hparams["dimensions"]
        z = counter_random.normal(self.draws("items", numbers, 2 * skills, "loadings"))
        a = np.exp(self.hparams["discrimination_sd"] * z[:, :skills]) * self.q_matrix
        z = counter_random.normal(self.draws("items", numbers, 2, "difficulty"))
        return a, self.hparams["difficulty_sd"] * z[:, 0]

    @property
    def difficulty(self) -> np.ndarray:
        """Of every item its b."""
        return self.item_parameters[1]

    def latent(self, split, students):
        """Abilities, ``[students, dimensions]``: a part that all share, and one of their own."""
        dimensions, shared = self.hparams["dimensions"], self.hparams["correlation"]
        u = self.draws(split, students, 2 * (dimensions + 1), "ability")
        z = counter_random.normal(u)[:, : dimensions + 1]
        return {"ability": np.sqrt(shared) * z[:, :1] + np.sqrt(1 - shared) * z[:, 1:]}

    def probability(self, latent):
        """The item response surfaces."""
        a, b = self.item_parameters
        return special.expit(latent @ a.T - b)

    @property
    def correlation(self) -> np.ndarray:
        """Of the abilities, ``[dimensions, dimensions]``."""
        return np.where(np.eye(self.hparams["dimensions"]), 1, self.hparams["correlation"])

    @cached_property
    def rule(self) -> tuple[float, float] | None:
        """Step and radius of the finest rule that has few enough nodes; None: none has."""
        # What a usual support tells of one ability, beside what is known without it.
        information = self.most_shown * (self.item_parameters[0] ** 2).mean(0).max() / 4
        width = 1 / np.sqrt(1 / (1 - self.hparams["correlation"]) + information)
        rules = ((fineness * np.sqrt(2) * width, radius) for fineness, radius in RULES)
        count = quadrature.body_centred_nodes
        return next((r for r in rules if count(*r, self.correlation) <= MOST_NODES), None)

    @cached_property
    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Abilities, closer together than posteriors are wide."""
        return quadrature.body_centred(*self.rule, self.correlation)

    @cached_property
    def _logistic_normal(self) -> tuple[np.ndarray, np.ndarray]:
        """A table of ``E s(u - b)``, b normal with mean 0 as for a new item; straight between."""
        sd = self.difficulty_given(0.0)[1]
        z, weights = quadrature.trapezoid(quadrature.logistic_step(sd), 6.5)
        u = np.arange(-40, 40, 0.005)
        return u, sum(w * special.expit(u - sd * v) for v, w in zip(z, weights))

    def new_curve(self, features):
        """Averaged over the loadings of its skills, and over b given its estimate."""
        needed = features[:-1] > 0
        center = self.difficulty_given(features[-1])[0]
        sd = self.hparams["discrimination_sd"]
        log_a, weights = quadrature.trapezoid(quadrature.logistic_step(2 * sd) / 0.75, 5.0)
        ability, which = np.unique(self.nodes[0][:, needed], axis=0, return_inverse=True)
        curve = np.zeros(len(ability))
        for loading in np.ndindex(*[len(log_a)] * needed.sum()):
            u = ability @ np.exp(sd * log_a[list(loading)]) - center
            curve += weights[list(loading)].prod() * np.interp(u, *self._logistic_normal)
        return curve[which.reshape(-1)]
