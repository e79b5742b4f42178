"""Made-up students who stay as they are: all that is to be known of one is a latent vector."""

from functools import cached_property

import numpy as np

from bench.data.students.synthetic import SyntheticStudents
from bench.tasks.questions import FEATURES, ITEM

LIKELY = 1e-16  # an answer that is less likely than this is never given
CHUNK = 2**22  # numbers in an array of students by nodes or by items: bounds the memory


class StaticStudents(SyntheticStudents):
    """Answers are independent of each other given a latent vector, which does not change.

    So the ceiling is an average of response curves over the latent vector's posterior given the
    support; which items were met in between, and when, says nothing. A generator gives the
    distribution of the latent vector as nodes with weights (exact where there are finitely many
    vectors, otherwise a rule of integration), and the chance of a right answer at a vector. A new
    item is met by a student only once, so what counts of it is its curve averaged over the item's
    parameters given its features: also exact.

    Args:
        **kwargs: see :class:`bench.data.students.synthetic.SyntheticStudents`.
    """

    # What a generator is -----------------------------------------------------------------------

    def latent(self, split: str, students: np.ndarray) -> dict[str, np.ndarray]:
        """Draws students: ``"ability"`` or ``"mastery"``, ``[students, dimensions]``."""
        raise NotImplementedError

    def probability(self, latent: np.ndarray) -> np.ndarray:
        """The chance of a right answer, ``[students, items + new_items]``.

        Args:
            latent: ``[students, dimensions]``.
        """
        raise NotImplementedError

    @property
    def nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Latent vectors ``[nodes, dimensions]`` and their weights ``[nodes]``."""
        raise NotImplementedError

    def new_curve(self, features: np.ndarray) -> np.ndarray:
        """The chance of a right answer to a new item at each node, over all that it can be.

        Args:
            features: ``[features]``, what is known of the item.

        Returns:
            ``[nodes]``.
        """
        raise NotImplementedError

    # Shared ------------------------------------------------------------------------------------

    @property
    def most_shown(self) -> int:
        """The most answers that a support holds."""
        return self.length - 1 if self.hparams["protocol"] == "next" else self.hparams["shots"]

    def difficulty_given(self, estimate: float) -> tuple[float, float]:
        """Mean and standard deviation of a new item's difficulty, normal with mean 0 before."""
        prior, noise = self.hparams["difficulty_sd"] ** 2, self.hparams["estimate_noise"] ** 2
        trust = prior / (prior + noise) if prior else 0.0
        return trust * estimate, np.sqrt(trust * noise)

    def answers(self, split, students, item):
        """A latent vector, then an independent answer to each item."""
        latent = self.latent(split, students)
        right = np.take_along_axis(self.probability(*latent.values()), item, 1)
        return self.draws(split, students, item.shape[1], "answers") < right, latent

    def truth(self, split, students):
        """What lies behind the answers, without drawing them."""
        return self.latent(split, students)

    def ceiling(self, x, answer, support):
        """Posterior weights of the nodes from the support, then the mean of each row's curve."""
        curve = self._curve_of(x)
        right = np.clip(self._curves, LIKELY, 1 - LIKELY)
        log_wrong, log_odds = np.log1p(-right), np.log(right) - np.log1p(-right)
        log_weight = np.log(self.nodes[1])
        p = np.empty(curve.shape)
        chunk = max(CHUNK // max(right.shape), 1)
        for first in range(0, len(p), chunk):
            part = slice(first, first + chunk)
            # How often each curve was met, and answered right: new items may share a curve.
            met, won = np.zeros((2, len(curve[part]), len(right)))
            student, place = np.nonzero(support[part])
            rows = curve[part][student, place]
            np.add.at(met, (student, rows), 1.0)
            np.add.at(won, (student, rows), answer[part][student, place])
            posterior = met @ log_wrong
            posterior += won @ log_odds
            posterior += log_weight
            posterior -= posterior.max(1, keepdims=True)
            np.exp(posterior, out=posterior)
            mean = posterior @ self._curves.T / posterior.sum(1, keepdims=True)
            p[part] = np.take_along_axis(mean, curve[part], 1)
        return p

    @cached_property
    def _curves(self) -> np.ndarray:
        """Curves of the known items, then of those new ones that were asked about."""
        return np.ascontiguousarray(self.probability(self.nodes[0])[:, : self.items].T)

    @cached_property
    def _new(self) -> dict[bytes, int]:
        """Where the curve of a new item of these features is."""
        return {}

    def _curve_of(self, x: np.ndarray) -> np.ndarray:
        """The place of each row's curve, ``[students, length]``."""
        place = x[..., ITEM].astype(np.int64)
        new = place == self.items
        known, which = np.unique(x[new][:, FEATURES:], axis=0, return_inverse=True)
        missing = [f for f in known if f.tobytes() not in self._new]
        if missing:
            self._new.update((f.tobytes(), len(self._curves) + i) for i, f in enumerate(missing))
            self._curves = np.concatenate([self._curves, [self.new_curve(f) for f in missing]])
        place[new] = np.array([self._new[f.tobytes()] for f in known], np.int64)[which.reshape(-1)]
        return place
