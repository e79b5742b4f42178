"""What all made-up students share: which items they meet, and a ceiling that can be computed."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.data.students.episodes import Sequences, StudentEpisodes
from bench.tasks import counter_random
from bench.tasks.episode import Episode
from bench.tasks.questions import FEATURES, ITEM, POSITION


class SyntheticStudents(StudentEpisodes):
    """Students drawn from a known population, without end.

    A generator says how students answer (:meth:`answers`) and what is the best prediction that
    anybody could make (:meth:`ceiling`). The items are the world that ``data_seed`` stands for;
    every student meets ``shots + queries`` of them, each once.

    Args:
        items: items that training students meet.
        new_items: further items that only validation and test students meet, beside the others;
            what is known of them is their skills and an estimate of their difficulty.
        estimate_noise: standard deviation of that estimate around the true difficulty.
        fixed_order: everybody meets the items 0, 1, 2, ... in this order, instead of random ones.
        data_seed: which items there are.
        test_episodes: test students; 5,000 give an interval of about +-.005 for the AUC.
        **kwargs: see :class:`bench.data.students.episodes.StudentEpisodes`.
    """

    synthetic = True

    def __init__(
        self,
        items: int = 100,
        new_items: int = 0,
        estimate_noise: float = 0.5,
        fixed_order: bool = False,
        data_seed: int = 0,
        test_episodes: int = 5000,
        **kwargs,
    ):
        super().__init__(test_episodes=test_episodes, **kwargs)
        self.require_at_least("items", 2)
        self.require_at_least("new_items", 0)
        self.require_number("estimate_noise", 0, np.inf)
        if fixed_order and new_items:
            raise BenchError("fixed_order leaves no place for new_items: use one of the two")
        shots, queries = self.hparams["shots"], self.hparams["queries"]
        if shots + (queries or 1) > items:
            raise BenchError(
                f"shots={shots} + queries={queries} is more than items={items}: a student answers "
                "each question once"
            )

    def require_number(self, name: str, least: float, most: float) -> None:
        """Refuses a parameter that is not a finite number from ``least`` to ``most``.

        Raises:
            BenchError: names the argument.
        """
        value = self.hparams[name]
        if type(value) not in (int, float) or not (least <= value <= most and value < np.inf):
            wanted = f"from {least} to {most}" if most < np.inf else f"of at least {least}"
            raise BenchError(f"{name}={value!r}: give a number {wanted}")

    def require_range(self, name: str, least: float, most: float) -> None:
        """Refuses a parameter that is not a pair, lower end first, from ``least`` to ``most``.

        Raises:
            BenchError: names the argument.
        """
        value = self.hparams[name]
        pair = isinstance(value, (tuple, list)) and len(value) == 2
        numbers = pair and all(type(v) in (int, float) for v in value)
        if not numbers or not least <= value[0] <= value[1] <= most:
            raise BenchError(
                f"{name}={value!r}: give two numbers from {least} to {most}, the lower one first"
            )

    # What a generator is -----------------------------------------------------------------------

    def answers(
        self, split: str, students: np.ndarray, item: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """How students answer the items that they meet, in the order of time.

        Args:
            split: whose random streams to use, see :meth:`draws`.
            students: ``[students]`` their numbers.
            item: ``[students, length]`` true item numbers, new ones from ``items`` on.

        Returns:
            The answers ``[students, length]`` bool, and what lies behind them after the last:
            ``"ability"`` (a real number a dimension) or ``"mastery"`` (0 or 1 a skill),
            ``[students, dimensions]`` each.
        """
        raise NotImplementedError

    def ceiling(
        self, x: NDArray[np.float64], answer: np.ndarray, support: np.ndarray
    ) -> np.ndarray:
        """The exact Bayes probability of each answer being right, given the support answers.

        It knows the generator with all its parameters and the population, and of the student what
        every method gets: the answers of the support, and which items were met in between.

        Args:
            x: ``[students, length, columns]``, rows in the order of time; see
                :mod:`bench.tasks.questions`. New items bear the number ``items``, and all that is
                known of them is in the feature columns.
            answer: ``[students, length]`` bool; read where ``support`` is true alone.
            support: ``[students, length]`` bool.

        Returns:
            ``[students, length]`` float64.
        """
        raise NotImplementedError

    @property
    def q_matrix(self) -> np.ndarray:
        """Which skills each item needs, new ones included, ``[items + new_items, skills]`` bool."""
        return np.zeros((self.all_items, 0), bool)

    @property
    def difficulty(self) -> np.ndarray:
        """The true difficulties, ``[items + new_items]``, of which new items show an estimate."""
        raise NotImplementedError

    # Shared --------------------------------------------------------------------------------------

    @property
    def items(self) -> int:
        """How many items have a number of their own."""
        return self.hparams["items"]

    @property
    def all_items(self) -> int:
        """Items that are known in training, and new ones."""
        return self.hparams["items"] + self.hparams["new_items"]

    @property
    def has_new_items(self) -> bool:
        """Whether items turn up that no training student met."""
        return self.hparams["new_items"] > 0

    @property
    def skills(self) -> int:
        """How many of the features are skills."""
        return self.q_matrix.shape[1]

    @cached_property
    def features(self) -> np.ndarray:
        """The skills of each item and, where there are new items, an estimate of its difficulty."""
        if not self.has_new_items:
            return self.q_matrix.astype(float)
        noise = counter_random.normal(self.draws("items", np.arange(self.all_items), 2, "noise"))
        estimate = self.difficulty + self.hparams["estimate_noise"] * noise[:, 0]
        return np.column_stack([self.q_matrix, estimate])

    def draws(self, split: str, numbers: np.ndarray, count: int, purpose: str) -> np.ndarray:
        """Uniform numbers ``[numbers, count]``, of students of a split or of ``"items"``.

        Those of items depend on ``data_seed`` alone.
        """
        if split == "items":
            key = counter_random.stream(type(self).__name__, purpose, self.hparams["data_seed"])
        else:
            key = counter_random.stream(*self.stream_names(split), purpose)
        return counter_random.uniform(key, numbers, count)

    @property
    def length(self) -> int:
        """How many items each student meets."""
        if self.hparams["queries"] is None or self.hparams["fixed_order"]:
            return self.hparams["items"]
        if self.hparams["protocol"] == "next":
            return self.hparams["shots"] + self.hparams["queries"]
        return self.tested_shots[-1] + self.hparams["queries"]  # no more: what is met is told

    @property
    def rows_per_episode(self) -> float:
        """How many answers a training episode asks for, in the mean."""
        shown = np.array(self.tested_shots)
        if self.hparams["protocol"] == "next":
            shown = 1 + np.arange(min(self.length - 1, self.hparams["shots"]))
        queries = self.hparams["queries"] if self.hparams["protocol"] != "next" else None
        return float(np.minimum(self.length - shown, queries or np.inf).mean())

    def lengths(self, split: str) -> np.ndarray:
        """As many answers for every student."""
        return np.full(self.hparams[f"{split}_episodes"], self.length)

    def met(self, split: str, students: np.ndarray) -> np.ndarray:
        """The items each student meets, in the order of time, ``[students, length]``."""
        if self.hparams["fixed_order"]:
            return np.tile(np.arange(self.length), (len(students), 1))
        possible = self.items if split == "train" else self.all_items
        u = self.draws(split, students, possible, "items met")
        if self.length < possible:  # sort the few that are wanted alone
            few = np.argpartition(u, self.length - 1, 1)[:, : self.length]
            return np.take_along_axis(few, np.take_along_axis(u, few, 1).argsort(1), 1)
        return u.argsort(1)

    def sequences(self, split: str, students: np.ndarray) -> Sequences:
        """Draws students and their answers."""
        item = self.met(split, students)
        answer, _ = self.answers(split, students, item)
        return Sequences(item, answer, np.full(len(students), item.shape[1]))

    def truth(self, split: str, students: np.ndarray) -> dict[str, np.ndarray]:
        """What lies behind the answers of students."""
        return self.answers(split, students, self.met(split, students))[1]

    def ceiling_of(self, episode: Episode) -> np.ndarray:
        """The ceiling's probability of a right answer of each query, ``[tasks, query]``."""
        parts = [episode.support_x, episode.query_x]
        x = np.concatenate([p.cpu().numpy().astype(np.float64) for p in parts], 1)
        rows, asked = (p.shape[1] for p in parts)
        x = self._with_gaps(x)
        answer, shown = np.zeros((2, *x.shape[:2]), bool)
        answer[:, :rows] = episode.support_y.cpu().numpy() > 0.5
        w = episode.support_w
        shown[:, :rows] = True if w is None else w.cpu().numpy() > 0
        shown &= x[..., POSITION] >= 0
        # into the order of time, padding last
        time = np.where(x[..., POSITION] < 0, np.inf, x[..., POSITION]).argsort(1, kind="stable")
        there = np.take_along_axis(x[..., POSITION], time, 1) >= 0
        sorted_x = np.take_along_axis(x, time[..., None], 1)
        answer, shown = (np.take_along_axis(v, time, 1) for v in (answer, shown))
        p = self.ceiling(sorted_x, answer & shown, shown & there)
        back = time.argsort(1)
        return np.take_along_axis(p, back, 1)[:, rows : rows + asked]

    def _with_gaps(self, x: np.ndarray) -> np.ndarray:
        """Adds what a fixed order tells of places between the rows, ``[tasks, more, columns]``."""
        if not self.hparams["fixed_order"]:
            return x
        position, place = x[..., POSITION], np.arange(self.length)
        met = np.zeros((len(x), self.length + 1), bool)
        np.put_along_axis(met, position.astype(np.int64), True, 1)  # padding, -1, is the last
        gap = ~met[:, :-1] & (place < position.max(1, keepdims=True))
        if not gap.any():
            return x
        more = np.zeros((*gap.shape, x.shape[2]))
        more[..., FEATURES:] = self.features[place]
        more[..., ITEM] = place
        more *= gap[..., None]
        more[..., POSITION] = np.where(gap, place, -1)
        return np.concatenate([x, more], 1)
