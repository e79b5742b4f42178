"""Episodes of students: which answers are shown, which are asked for, and what an input row holds.

For the columns of an input row see :mod:`bench.tasks.questions`.
"""

from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from bench.base.errors import BenchError
from bench.base.option_text import written
from bench.data.students import windows as answer_windows
from bench.tasks import counter_random
from bench.tasks.data_module import EpisodeDataModule
from bench.tasks.episode import Episode, TaskSpec, View
from bench.tasks.questions import FEATURES, ITEM, POSITION

Protocol = Literal["random", "first", "next"]


class Sequences(NamedTuple):
    """What students met and answered, each in the order of time, padded at the end.

    Attributes:
        item: ``[students, length]`` int64 item numbers.
        answer: ``[students, length]`` bool.
        lengths: ``[students]`` how many of them are answers.
    """

    item: np.ndarray
    answer: np.ndarray
    lengths: np.ndarray


class StudentEpisodes(EpisodeDataModule):
    """A task is a student: the support is the answers shown, the query the answers to predict.

    Answers that a student gave between those shown and those asked for, and that are not shown,
    are support rows of weight 0: a method sees which questions were met and when, not how they
    were answered.

    Args:
        shots: answers shown, at most; None: all that may be, where the data say which these are.
        queries: answers to predict; None: all the rest, different for each number shown.
        protocol: ``"first"`` shows the first answers in the order of time and asks for the
            following ones, ``"random"`` shows random ones and asks for random others, ``"next"``
            asks for each answer in turn with all before it shown.
        tested_shots: how many answers are shown, one after the other in validation and test, at
            random in training. The same answers of a student are asked for at each. Empty:
            ``shots`` alone.
        windows: with ``protocol="next"``, the first and last number of the answers that are asked
            for in validation and test, such as ``((3, 10), (11, 15))``, each window scored apart;
            students who do not reach the last are left out. Empty: all from the second on.
        training_asks: where several numbers of answers are tested, for which in training:
            ``"same"``, at each number shown, as in testing; or those that are ``"following"`` the
            ones shown, so that more of a student's answers are learned from.
        hide_items: share of the items in training episodes whose number is withheld, so that what
            is known of the skills is learned for items that are new; only where there are any.
        **kwargs: see :class:`bench.tasks.data_module.EpisodeDataModule`; ``val_episodes`` and
            ``test_episodes`` count students.
    """

    kind = "answers"

    def __init__(
        self,
        shots: int | None = 10,
        queries: int | None = 40,
        protocol: Protocol = "random",
        tested_shots: tuple[int, ...] = (),
        windows: tuple[tuple[int, int], ...] = (),
        training_asks: Literal["same", "following"] = "same",
        hide_items: float = 0.1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name in ("shots", "queries"):
            if self.hparams[name] is not None:
                self.require_at_least(name, 1)
        if shots is None and not self.by_answer:
            raise BenchError("shots=None: give a whole number of at least 1")
        if shots is None and tested_shots:
            raise BenchError(
                f"tested_shots={tested_shots!r}: give the largest of them as shots, not None"
            )
        several = isinstance(tested_shots, (tuple, list))
        tested = tuple(tested_shots or (shots,)) if several else ()
        whole = shots is None or all(type(n) is int and 0 < n <= shots for n in tested)
        if not tested or not whole or list(tested) != sorted(set(tested)):
            raise BenchError(
                f"tested_shots={tested_shots!r}: give rising whole numbers from 1 to shots={shots}"
            )
        self.tested_shots = () if shots is None else tested
        if windows:
            answer_windows.check(windows, protocol)
        if protocol == "next" and (tested_shots or training_asks != "same"):
            name, none = ("tested_shots", []) if tested_shots else ("training_asks", "same")
            raise BenchError(
                f"{name}={self.hparams[name]!r}: protocol='next' asks for all answers in turn: use "
                f"{written(name, none)} with it"
            )
        if type(hide_items) not in (int, float) or not 0 <= hide_items < 1:
            raise BenchError(f"hide_items={hide_items!r}: give a share from 0 to below 1")

    # What a source of students is --------------------------------------------------------------

    @property
    def items(self) -> int:
        """How many items have a number of their own."""
        raise NotImplementedError

    @property
    def has_new_items(self) -> bool:
        """Whether items turn up that no training student met; all bear the number ``items``."""
        return False

    @property
    def features(self) -> np.ndarray:
        """What is known of each item, ``[all items, features]``: 0/1 skills, then other numbers."""
        return np.zeros((self.items, 0))

    @property
    def skills(self) -> int:
        """How many of the features are skills."""
        return 0

    @property
    def vocabulary(self) -> dict[str, Any]:
        """What items and skills are called; by their numbers, where they have no names.

        Also the name of the data set, so that a checkpoint leads back to it.
        """
        features = torch.as_tensor(self.features, dtype=torch.float32).clone()
        items = getattr(self, "item_names", range(len(features)))
        skills = getattr(self, "skill_names", range(self.skills))
        return {
            "items": [str(name) for name in items],
            "skills": [str(name) for name in skills],
            "features": features,
            "known": int(self.items),
            "shots": int(self.hparams["shots"] or self.showable("test").max()),
            "dataset": type(self).__module__.rpartition(".")[2],
        }

    def lengths(self, split: str) -> np.ndarray:
        """How many answers each student of a list gave, ``[students]``."""
        raise NotImplementedError

    @property
    def by_answer(self) -> bool:
        """Whether the data say which answers of a student are shown, and which are asked for."""
        return False

    def showable(self, split: str) -> np.ndarray:
        """How many answers of each student may be shown at most, ``[students]``.

        Where the data divide them, these come first in validation and test; all after are asked
        for.
        """
        return self.lengths(split) - 1

    def training_students(self, index: np.ndarray) -> np.ndarray:
        """The student of each training episode: drawn at random from the list, if there is one."""
        if self.training_tasks is None:
            return index
        key = counter_random.stream(*self.stream_names("train"), "student")
        u = counter_random.uniform(key, index, 1)[:, 0]
        return (u * self.training_tasks).astype(np.int64)

    @property
    def training_rows(self) -> int | None:
        """How many answers training episodes may ask for, as if all weighed alike.

        Students do, so that an answer of one with few weighs more: as many rows without weights
        would give a mean of the same variance (Kish, "Survey Sampling", 1965, section 11.7).
        """
        if self.training_tasks is None:
            return None
        rows, queries, tested = self.lengths("train"), self.hparams["queries"], self.tested_shots
        rows = rows - (self.hparams["protocol"] == "next")
        if self.hparams["protocol"] == "first" and tested:  # the first ones are always shown
            place = np.maximum(np.searchsorted(tested, rows) - 1, 0) if queries else 0
            last = np.array(tested)[place]
            first = tested[0] if self.hparams["training_asks"] == "following" else last
            rows = np.minimum(rows - first, (queries or np.inf) + last - first)
        rows = rows[rows > 0]
        return round(len(rows) ** 2 / (1 / rows).sum()) if len(rows) else 1

    def sequences(self, split: str, students: np.ndarray) -> Sequences:
        """The answers of students, by their numbers in the split."""
        raise NotImplementedError

    def truth(self, split: str, students: np.ndarray) -> dict[str, np.ndarray]:
        """What lies behind the answers, ``[students, dimensions]`` each; empty if not known."""
        return {}

    # Episodes ----------------------------------------------------------------------------------

    @property
    def spec(self) -> TaskSpec:
        """Right or wrong, from a row of columns."""
        return TaskSpec(
            self.kind,
            (FEATURES + self.features.shape[1],),
            1,
            items=self.items + self.has_new_items,
            skills=self.skills,
        )

    @cached_property
    def _lists(self) -> dict[str, tuple[np.ndarray, np.ndarray, list[View]]]:
        """Student and number of answers shown of each listed episode, and the views."""
        return {split: self._list(split) for split in ("val", "test")}

    def _list(self, split: str) -> tuple[np.ndarray, np.ndarray, list[View]]:
        lengths = self.lengths(split)[: self.hparams[f"{split}_episodes"]]
        if self.hparams["protocol"] == "next":
            if self.hparams["windows"]:
                return answer_windows.listed(self.hparams["windows"], split, lengths)
            student = np.repeat(np.arange(len(lengths)), np.maximum(lengths - 1, 0))
            starts = np.cumsum(np.maximum(lengths - 1, 0)) - np.maximum(lengths - 1, 0)
            shown = 1 + np.arange(len(student)) - starts[student]
            return student, shown, [View(0, 0, int((lengths > 1).sum()))]
        showable = self.showable(split)[: len(lengths)]
        if self.hparams["shots"] is None:
            return np.arange(len(lengths)), showable, []
        students = [np.flatnonzero(showable >= n) for n in self.tested_shots]
        shown = [np.full(len(s), n) for s, n in zip(students, self.tested_shots)]
        views = [
            View(n, sum(map(len, students[:i])), len(students[i]))
            for i, n in enumerate(self.tested_shots)
            if len(students[i])
        ]
        return np.concatenate(students), np.concatenate(shown), views

    def listed(self, split: str) -> int:
        """How many episodes validation or test has."""
        return len(self._lists[split][0])

    def views(self, split: str) -> list[View]:
        """How the list of a split is divided by the number of answers shown."""
        return self._lists[split][2]

    def unit(self, split: str, index: np.ndarray) -> np.ndarray:
        """What the answers of episodes are gathered by: one student at one number shown."""
        if self.hparams["protocol"] != "next":
            return index
        student, shown, _ = self._lists[split]
        if windows := self.hparams["windows"]:
            window = np.searchsorted([last for _, last in windows], shown + 1)
            student = student + window * (student.max() + 1)
        return np.unique(student, return_inverse=True)[1][index]

    def students_of(self, split: str, index: np.ndarray) -> np.ndarray:
        """The student of each episode."""
        return self.training_students(index) if split == "train" else self._lists[split][0][index]

    def episodes(self, split: str, index: np.ndarray) -> Episode:
        """Draws episodes.

        Returns:
            ``support_x: [tasks, support, columns]``, ``support_y: [tasks, support]`` 0/1 answers,
            and the query likewise; weights where not every row counts in every episode.
        """
        index = np.asarray(index, np.int64)
        students = self.students_of(split, index)
        sequences = self.sequences(split, students)
        lengths, longest = sequences.lengths[:, None], sequences.item.shape[1]
        shown = self._shown(split, index, sequences.lengths)[:, None]
        asked_from, most, asked = self._dealt(split, students, shown, lengths, longest)
        # Places in the order of dealing: first those that may be shown, then those asked for.
        before, after = np.arange(most), asked_from + np.arange(asked)
        before = np.where(before < np.minimum(asked_from, lengths), before, -1)
        after = np.where(after < lengths, after, -1)
        order = self._order(split, index, students, sequences)
        support, query = (self._rows(split, index, sequences, order, at) for at in (before, after))
        weights = [None, None]
        if self.varies:
            counts = ((before >= 0) & (before < shown), after >= 0)
            weights = [torch.from_numpy(w).to(support[1].dtype) for w in counts]
            support = support[0], support[1] * weights[0]  # what is not shown cannot be seen
        return Episode(*support, *query, *weights, index=torch.from_numpy(index))

    def questions(
        self, split: str, students: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """All that students of validation or test met, whatever their episodes show of it.

        Returns:
            Rows ``[students, length, columns]`` and answers ``[students, length]`` in the order of
            time, and ``[students, length]`` bool, false where there is padding.
        """
        sequences = self.sequences(split, students)
        place = np.broadcast_to(np.arange(sequences.item.shape[1]), sequences.item.shape)
        there = place < sequences.lengths[:, None]
        x, y = self._rows(split, students, sequences, place, np.where(there, place, -1))
        return x, y, torch.from_numpy(there)

    def training_answers(
        self, students: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """All that training students met and answered; as :meth:`questions`.

        Args:
            students: their numbers, below :attr:`training_tasks` where there is a list of them.
        """
        return self.questions("train", students)

    @property
    def varies(self) -> bool:
        """Whether the number of rows that count differs between episodes."""
        shots, protocol = self.hparams["shots"], self.hparams["protocol"]
        return protocol == "next" or self.tested_shots != (shots,)

    def _dealt(
        self, split: str, students: np.ndarray, shown: np.ndarray, lengths: np.ndarray, longest: int
    ) -> tuple[np.ndarray, int, int]:
        """From which place ``[tasks, 1]`` on answers are asked for, and of how many places.

        Returns:
            The place in the order of dealing, how many places there are for answers shown, and how
            many for answers asked for.
        """
        shots, queries = self.hparams["shots"], self.hparams["queries"]
        if self.hparams["protocol"] == "next":
            return shown, longest - 1, 1 if split != "train" else longest - 1
        if self.by_answer and split != "train":
            showable = self.showable(split)
            most, rest = int(showable.max()), int((self.lengths(split) - showable).max())
            return showable[students][:, None], min(shots or most, most), min(queries or rest, rest)
        if shots is None:
            most = max(round(self._part_shown * longest), 1)
            rest = int((1 - self._part_shown) * longest) + 1
            return shown, most, min(queries or rest, rest)
        most = min(shots, longest - 1)
        if split == "train" and self.hparams["training_asks"] == "following":
            return shown, most, queries or longest - min(self.tested_shots[0], longest - 1)
        if queries is None:
            return shown, most, longest - min(self.tested_shots[0], longest - 1)
        tested = np.array(self.tested_shots)
        return tested[np.maximum(np.searchsorted(tested, lengths) - 1, 0)], most, queries

    @cached_property
    def _part_shown(self) -> float:
        """The part of a student's answers that testing shows, where it shows all that may be."""
        return float(self.showable("test").sum() / self.lengths("test").sum())

    def _shown(self, split: str, index: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """How many answers each episode shows."""
        if split != "train":
            return self._lists[split][1][index]
        key = counter_random.stream(*self.stream_names(split), "answers shown")
        u = counter_random.uniform(key, index, 1)[:, 0]
        if self.hparams["protocol"] == "next":
            most = np.minimum(lengths - 1, self.hparams["shots"])
            return 1 + (u * most).astype(np.int64)
        if self.hparams["shots"] is None:
            return np.clip(np.round(self._part_shown * lengths).astype(np.int64), 1, lengths - 1)
        tested = np.array(self.tested_shots)
        possible = np.maximum(np.searchsorted(tested, lengths), 1)
        return tested[(u * possible).astype(np.int64)]

    def _order(
        self, split: str, index: np.ndarray, students: np.ndarray, sequences: Sequences
    ) -> np.ndarray:
        """The positions of a student's answers in the order of dealing, ``[tasks, length]``."""
        position = np.broadcast_to(np.arange(sequences.item.shape[1]), sequences.item.shape)
        if self.hparams["protocol"] != "random":
            return position
        key = counter_random.stream(*self.stream_names(split), "order")
        u = counter_random.uniform(key, index if split == "train" else students, position.shape[1])
        if self.by_answer and split != "train":
            u = u + (position >= self.showable(split)[students][:, None])
        return np.where(position < sequences.lengths[:, None], u, 2 + position).argsort(1)

    def _rows(self, split, index, sequences, order, at) -> tuple[torch.Tensor, torch.Tensor]:
        """Columns and answers of the rows ``at`` those places in the order; -1 is padding."""
        there = at >= 0
        position = np.take_along_axis(order, np.maximum(at, 0), 1)
        number = np.take_along_axis(sequences.item, position, 1)
        right = np.take_along_axis(sequences.answer, position, 1) & there
        features = self.features
        x = np.zeros((*at.shape, FEATURES + features.shape[1]))
        x[..., FEATURES:] = features[number] * there[..., None]
        number = np.minimum(number, self.items)  # all new items bear one number
        if split == "train" and self.has_new_items:
            key = counter_random.stream(*self.stream_names(split), "hidden")
            hidden = counter_random.uniform(key, index, order.shape[1])
            hidden = np.take_along_axis(hidden, position, 1) < self.hparams["hide_items"]
            number = np.where(hidden, self.items, number)
        x[..., ITEM], x[..., POSITION] = number * there, np.where(there, position, -1)
        dtype = torch.get_default_dtype()
        return torch.from_numpy(x).to(dtype), torch.from_numpy(right).to(dtype)
