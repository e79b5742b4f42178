"""Synthetic students of item response theory: one ability, items of their own difficulty."""

from functools import cached_property
from typing import Literal

import numpy as np
from scipy import special

from bench.data.students import quadrature
from bench.data.students.static import StaticStudents
from bench.tasks import counter_random


class IRTDataModule(StaticStudents):
    """A student of ability ``theta`` answers item j right with ``c + (1 - c) s(a (theta - b))``.

    The one-, two- and three-parameter logistic models (Rasch, "Probabilistic Models for Some
    Intelligence and Attainment Tests", 1960; Birnbaum, in Lord and Novick, "Statistical Theories
    of Mental Test Scores", 1968, chapter 17), in the logistic metric: without the factor 1.7.
    Abilities are standard normal.

    The ceiling is the trapezoidal rule over the ability, with a step that follows from how narrow
    a posterior can become, and for a new item over its a and b too, b being normal given its
    estimate; it is within 1e-8 of a much finer grid.

    Args:
        model: ``"1pl"`` (a = 1, c = 0), ``"2pl"`` (c = 0) or ``"3pl"``.
        discrimination_sd: log a is normal with mean 0 and this standard deviation, 0 to 1; 0.3 to
            0.5 is usual (0.5 is the default prior of BILOG: Mislevy and Bock, 1990).
        difficulty_sd: standard deviation of b, whose mean is 0; 0 to 3, 1 is usual.
        guess_max: c is uniform from 0 to this, 0 to 0.5; 0.25 is usual, one in four choices.
        **kwargs: see :class:`bench.data.students.synthetic.SyntheticStudents`.
    """

    def __init__(
        self,
        model: Literal["1pl", "2pl", "3pl"] = "2pl",
        discrimination_sd: float = 0.4,
        difficulty_sd: float = 1.0,
        guess_max: float = 0.25,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.require_number("discrimination_sd", 0, 1)
        self.require_number("difficulty_sd", 0, 3)
        self.require_number("guess_max", 0, 0.5)
        self.log_a_sd = 0.0 if model == "1pl" else discrimination_sd
        self.c_max = guess_max if model == "3pl" else 0.0

    @cached_property
    def item_parameters(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Discriminations a, difficulties b and guessing c, ``[items + new_items]`` each."""
        u = self.draws("items", np.arange(self.all_items), 3, "parameters")
        z = counter_random.normal(u[:, :2])
        a, b = np.exp(self.log_a_sd * z[:, 0]), self.hparams["difficulty_sd"] * z[:, 1]
        return a, b, self.c_max * u[:, 2]

    @property
    def difficulty(self) -> np.ndarray:
        """Of every item its b."""
        return self.item_parameters[1]

    def latent(self, split, students):
        """Abilities, ``[students, 1]``."""
        u = self.draws(split, students, 2, "ability")
        return {"ability": counter_random.normal(u)[:, :1]}

    def probability(self, latent):
        """The item response functions."""
        a, b, c = self.item_parameters
        return c + (1 - c) * special.expit(a * (latent - b))

    @cached_property
    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Abilities, closer together than any posterior is wide."""
        # An answer adds at most a^2 / 4 to the information, reached at b without guessing.
        informative = np.sort(self.item_parameters[0])[-self.most_shown :]
        nodes, weights = quadrature.trapezoid(
            step=0.4 / np.sqrt(1 + (informative**2).sum() / 4), radius=12
        )
        return nodes[:, None], weights

    def new_curve(self, features):
        """Averaged over a and c as drawn, and over b given its estimate."""
        center, sd = self.difficulty_given(features[-1])
        log_a, weights = quadrature.trapezoid(quadrature.logistic_step(2 * self.log_a_sd), 6.5)
        curve = np.zeros(len(self.nodes[0]))
        for a, w in zip(np.exp(self.log_a_sd * log_a), weights):
            # An a beyond 4 standard deviations weighs too little for a finer step.
            slope = sd * min(a, np.exp(4 * self.log_a_sd))
            z, w_z = quadrature.trapezoid(quadrature.logistic_step(slope), 6.5)
            curve += w * special.expit(a * (self.nodes[0] - center - sd * z)) @ w_z
        return self.c_max / 2 + (1 - self.c_max / 2) * curve
