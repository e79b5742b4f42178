"""Synthetic students of item response theory: one ability, items of their own difficulty."""

from functools import cached_property
from typing import Literal

import numpy as np

from bench import counter_random
from bench.errors import BenchError, nearest
from bench.synthetic_students import SyntheticStudents

MODELS = ("1pl", "2pl", "3pl")


class IRTDataModule(SyntheticStudents):
    """A student of ability ``theta`` answers item j right with ``c + (1 - c) s(a (theta - b))``.

    The one-, two- and three-parameter logistic models (Birnbaum, in Lord and Novick, "Statistical
    Theories of Mental Test Scores", 1968). Abilities are standard normal; a logarithm of a is
    normal with mean 0; b is normal with mean 0; c is uniform.

    Args:
        model: ``"1pl"`` (a = 1, c = 0; Rasch 1960), ``"2pl"`` (c = 0) or ``"3pl"``.
        discrimination_sd: standard deviation of log a; 0.3 to 0.5 is usual.
        difficulty_sd: standard deviation of b; 1 is usual.
        guess_max: c is uniform from 0 to this; 0.25 is usual.
        **kwargs: see :class:`bench.synthetic_students.SyntheticStudents`.
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
        if model not in MODELS:
            raise BenchError(f"model={model!r}: {nearest(model, MODELS)}")

    @cached_property
    def item_parameters(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Discriminations a, difficulties b and guessing c, ``[items + new_items]`` each."""
        u = self.draws("items", np.arange(self.all_items), 3, "parameters")
        z = counter_random.normal(u[:, :2])
        model, options = self.hparams["model"], self.hparams
        a = np.exp(options["discrimination_sd"] * z[:, 0] * (model != "1pl"))
        c = options["guess_max"] * u[:, 2] * (model == "3pl")
        return a, options["difficulty_sd"] * z[:, 1], c

    @property
    def difficulty(self) -> np.ndarray:
        """b of every item."""
        return self.item_parameters[1]

    def answers(self, split, students, item):
        """Ability, then an independent answer to each item."""
        ability = counter_random.normal(self.draws(split, students, 2, "ability"))[:, :1]
        a, b, c = (v[item] for v in self.item_parameters)
        right = c + (1 - c) / (1 + np.exp(-a * (ability - b)))
        u = self.draws(split, students, item.shape[1], "answers")
        return u < right, {"ability": ability}
