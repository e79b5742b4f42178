"""Students as recorded: answers from files, split by student."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.base import checksums
from bench.base.errors import BenchError
from bench.base.option_text import written
from bench.data.students import divided
from bench.data.students.episodes import Sequences, StudentEpisodes
from bench.data.students.responses import Responses, division, read
from bench.tasks import counter_random
from bench.tasks.data_module import SPLITS

FEW = 200  # training students; see datasets/student/README.md
FoldsFrom = Literal["seed", "file", "column", "nothing"]
_LOGGER = logging.getLogger(__name__)


class RecordedStudents(StudentEpisodes):
    """Students as recorded, in any format that :func:`bench.data.students.responses.read` knows.

    Students are divided, not their answers, unless files say so: one fold is for testing, a part of
    the others for validation. What only tested students met is an item without a number of its own.
    Students with too few answers for the smallest of ``tested_shots`` are left out.

    With ``split_by="answer"`` the answers of each student are divided, as the files have it: shown
    are answers for training, at most ``shots`` of them (None: all), asked for are those for
    validation and for test. Training episodes are dealt from the answers for training alone.

    Args:
        source: a file of answers, or several.
        columns: names of a table's columns, where they are unusual.
        q_matrix: a file that says which item asks for which skill.
        folds: into how many parts the students are divided at random (``folds_from="seed"``).
        fold: which part is tested.
        folds_from: ``"seed"`` divides at random, frozen by ``split_seed``; ``"file"`` takes the
            files of ``source`` for the folds, ``"column"`` a pyKT file's own column; with
            ``"nothing"`` nobody is kept apart, and validation and test are on the students trained
            on: for a last training, when everything was chosen.
        split_seed: which division.
        val_share: share of the other students that is kept for validation; of the answers for
            training, where answers are divided and none is for validation.
        split_by: ``"student"``; or ``"answer"``, as the column ``split`` of a table says, or the
            names of the files.
        most_answers: answers of a student that are read, from the first on; where answers are
            divided, those for training.
        val_episodes: validation students, at most.
        test_episodes: test students, at most.
        **kwargs: see :class:`bench.data.students.episodes.StudentEpisodes`.
    """

    def __init__(
        self,
        source: str | list[str] | None = None,
        columns: Mapping[str, str] | None = None,
        q_matrix: str | None = None,
        folds: int = 5,
        fold: int = 0,
        folds_from: FoldsFrom = "seed",
        split_seed: int = 0,
        val_share: float = 0.15,
        split_by: Literal["student", "answer"] = "student",
        most_answers: int = 200,
        val_episodes: int = 1000,
        test_episodes: int = 100_000,
        **kwargs,
    ):
        super().__init__(val_episodes=val_episodes, test_episodes=test_episodes, **kwargs)
        for name in ("source", "q_matrix"):  # plain data, which a checkpoint can hold
            self.hparams[name] = _plain(self.hparams[name])
        self.require_at_least("folds", 2)
        self.require_at_least("most_answers", 2)
        if folds_from == "seed" and not (type(fold) is int and 0 <= fold < folds):
            raise BenchError(f"fold={fold!r}: give a number from 0 to {folds - 1}")
        if type(val_share) is not float or not 0 < val_share < 1:
            raise BenchError(f"val_share={val_share!r}: give a share between 0 and 1")
        if self.by_answer and self.hparams["protocol"] == "next":
            raise BenchError(
                f"protocol='next': where answers are divided, use {written('protocol', 'random')}"
            )

    @property
    def by_answer(self) -> bool:
        """Whether the files divide the answers of each student."""
        return self.hparams["split_by"] == "answer"

    @cached_property
    def responses(self) -> Responses:
        """All answers.

        Raises:
            BenchError: if there is no source, or what is wrong with it.
        """
        source = self.hparams["source"]
        if not source:
            raise BenchError(
                "source: name a file of students' answers, such as "
                f"{written('source', 'answers.csv')}, or prepare some with maml-bench prepare "
                "student --source PATH; made-up students are in the data sets irt, mirt, bkt, "
                "dina, ..."
            )
        # files called train, valid and test divide answers, however students are divided then
        files = [Path(path) for path in np.atleast_1d(source)]
        of_same = self.hparams["folds_from"] in ("seed", "nothing") and division.of_names(files)
        by_answer = self.by_answer or bool(of_same)
        responses = read(source, self.hparams["columns"], self.hparams["q_matrix"], by_answer)
        for note in responses.notes:
            _LOGGER.warning("%s: %s", self._where, note)
        return responses

    def sentences(self) -> list[str]:
        """What was read and how the students are divided, for those who work with it.

        Raises:
            BenchError: what is wrong with the files or the division.
        """
        counts, *others = self.responses.sentences()
        students = {split: len(part) for split, part in self.students.items()}
        if self.by_answer:
            answers = {split: self.lengths(split) for split in students}
            answers |= {n: answers[n] - self.showable(n) for n in ("val", "test")}
            words = {n: f"{answers[n].sum():,} of {students[n]:,} students" for n in students}
            parts = (
                f"Answers: {words['train']} to train on, {words['val']} for validation, "
                f"{words['test']} for testing"
            )
            left_out = len(self.responses.students) - students["train"]
        else:
            parts = (
                f"Students: {students['train']:,} to train on, {students['val']:,} for validation, "
                f"{students['test']:,} for testing"
            )
            if self.hparams["folds_from"] == "nothing":
                parts = f"Students: {students['train']:,}, all to train on"
            left_out = len(self.responses.students) - len(set().union(*self.students.values()))
        if left_out:
            parts += f"; {left_out:,} students with too few answers left out"
        found = [f"Read {self._where}: {counts}", *others, f"{parts}."]
        if students["train"] < FEW:
            found.append(few(students["train"]))
        return found

    @property
    def vocabulary(self) -> dict[str, Any]:
        """What items and skills are called, and from how many students a model learns them."""
        return super().vocabulary | {"trained_on": len(self.students["train"])}

    @property
    def checksum(self) -> str:
        """Of the answers and of the names, in whatever format they came."""
        found = self.responses
        names = [np.array(n, np.str_) for n in (found.students, found.items, found.skills)]
        arrays = [found.starts, found.item, found.answer, found.q_matrix, *names]
        return checksums.digest([*arrays, self._split] if self.by_answer else arrays)

    @cached_property
    def _split(self) -> np.ndarray:
        """What each answer is for, ``[answers]``, where answers are divided."""
        split = self.responses.split
        if split is None:
            raise BenchError(
                f"{self._where} does not say which answers are for training, validation and test: "
                f"use {written('split_by', 'student')}"
            )
        options = self.hparams
        return divided.with_validation(split, options["val_share"], options["split_seed"])

    @cached_property
    def _pools(self) -> dict[str, divided.Pool]:
        """The answers of each split, where answers are divided."""
        return divided.pools(self.responses, self._split, self.hparams["most_answers"])

    @cached_property
    def students(self) -> dict[str, np.ndarray]:
        """Numbers in :attr:`responses` of the students of each split.

        Raises:
            BenchError: if a split has none, or the order of time is asked for and not known.
        """
        responses, options = self.responses, self.hparams
        if options["protocol"] != "random" and not responses.ordered:
            raise BenchError(
                f"protocol={options['protocol']!r}: {self._where} does not say in which order the "
                f"questions were answered; use {written('protocol', 'random')}"
            )
        lengths = np.diff(responses.starts)
        if self.by_answer:
            least = self.tested_shots[0] if self.tested_shots else 1
            parts = self._parts_of_answers(least)
        else:
            least = 2 if options["protocol"] == "next" else self.tested_shots[0] + 1
            least = max([least, *(last for _, last in options["windows"])])
            if least > options["most_answers"]:
                raise BenchError(
                    f"most_answers={options['most_answers']}: an episode needs {least} answers of "
                    "a student: give as many or more"
                )
            parts = self._parts(lengths, least)
        found = {split: np.flatnonzero(part) for split, part in parts.items()}
        for split, part in found.items():
            if not len(part):
                raise BenchError(
                    f"{self._where}: no student is left for {split}: {len(lengths)} students, "
                    f"{int((lengths >= least).sum())} of them with {least} answers or more; give "
                    "more students, fewer folds, smaller tested_shots or another val_share"
                )
        return found

    def _parts(self, lengths: np.ndarray, least: int) -> dict[str, np.ndarray]:
        """Which students are of each split, ``[students]`` bool."""
        options, long_enough = self.hparams, lengths >= least
        if options["folds_from"] == "nothing":
            return dict.fromkeys(SPLITS, long_enough)
        key = counter_random.stream("students", options["split_seed"], "validation")
        tested = self._tested(self.responses)
        others = np.flatnonzero(~tested & long_enough)
        drawn = others[counter_random.uniform(key, others, 1)[:, 0].argsort()]
        validates = np.zeros(len(tested), bool)
        validates[drawn[: max(round(options["val_share"] * len(others)), 1)]] = True
        parts = {"train": ~tested & ~validates, "val": validates, "test": tested}
        return {split: part & long_enough for split, part in parts.items()}

    def _parts_of_answers(self, least: int) -> dict[str, np.ndarray]:
        """Which students have answers to show and to ask for in each split, ``[students]`` bool."""
        given = {split: pool.given for split, pool in self._pools.items()}
        asked = {n: np.diff(self._pools[n].starts) > given[n] for n in ("val", "test")}
        return {"train": given["train"] >= 2} | {n: asked[n] & (given[n] >= least) for n in asked}

    def _tested(self, responses: Responses) -> np.ndarray:
        """Which students are tested, ``[students]`` bool."""
        options, count = self.hparams, len(responses.starts) - 1
        if options["folds_from"] == "seed":
            if count < options["folds"]:
                raise BenchError(
                    f"{self._where}: {count} students cannot be divided into folds="
                    f"{options['folds']}: give more students or fewer folds"
                )
            key = counter_random.stream("students", options["split_seed"])
            rank = counter_random.uniform(key, np.arange(count), 1)[:, 0].argsort().argsort()
            return rank % options["folds"] == options["fold"]
        if options["folds_from"] == "nothing":
            return np.zeros(count, bool)
        folds = responses.file if options["folds_from"] == "file" else responses.fold
        if folds is None:
            raise BenchError(
                f"{self._where} has no column fold: use {written('folds_from', 'seed')}"
            )
        if options["fold"] not in folds:
            known = ", ".join(map(str, np.unique(folds)))
            raise BenchError(f"fold={options['fold']!r}: {self._where} has the folds {known}")
        return folds == options["fold"]

    @property
    def _where(self) -> str:
        source = self.hparams["source"]
        return source if isinstance(source, str) else ", ".join(map(str, source or [])) or "source"

    @cached_property
    def _numbers(self) -> tuple[np.ndarray, int]:
        """The number of each item, those of training students first, and how many these are."""
        responses, train = self.responses, self.students["train"]
        met = np.zeros(len(responses.items), bool)
        if self.by_answer:
            met[responses.item[self._pools["train"].answers]] = True
        else:
            met[responses.select(train).item] = True
        number = np.empty(len(met), np.int64)
        number[met], number[~met] = np.arange(met.sum()), met.sum() + np.arange((~met).sum())
        return number, int(met.sum())

    @property
    def items(self) -> int:
        """How many items training students met."""
        return self._numbers[1]

    @property
    def has_new_items(self) -> bool:
        """Whether other students met items that no training student did."""
        return self.items < len(self.responses.items)

    @cached_property
    def features(self) -> np.ndarray:
        """The skills of each item, ``[all items, skills]``."""
        return self.responses.q_matrix[self._numbers[0].argsort()].astype(np.float32)

    @property
    def skills(self) -> int:
        """How many skills the items ask for."""
        return self.responses.q_matrix.shape[1]

    @cached_property
    def item_names(self) -> list[str]:
        """What the items are called in the files, by number."""
        return [self.responses.items[i] for i in self._numbers[0].argsort()]

    @property
    def skill_names(self) -> list[str]:
        """What the skills are called in the files, by column."""
        return self.responses.skills

    def lengths(self, split: str) -> np.ndarray:
        """How many answers each student gave, ``[students]``."""
        if self.by_answer:
            return np.diff(self._pools[split].starts)[self.students[split]]
        lengths = np.diff(self.responses.starts)[self.students[split]]
        return np.minimum(lengths, self.hparams["most_answers"])

    @property
    def training_tasks(self) -> int:
        """How many students there are to train on."""
        return len(self.students["train"])

    def showable(self, split: str) -> np.ndarray:
        """How many answers of each student may be shown at most, ``[students]``."""
        if self.by_answer and split != "train":
            return self._pools[split].given[self.students[split]]
        return super().showable(split)

    @cached_property
    def _longest(self) -> int:
        return max(int(self.lengths(split).max()) for split in self.students)

    def sequences(self, split: str, students: np.ndarray) -> Sequences:
        """The answers of students, padded to the longest of all."""
        responses, numbers = self.responses, self.students[split][students]
        lengths = self.lengths(split)[students]
        starts = self._pools[split].starts if self.by_answer else responses.starts
        at = np.minimum(np.arange(self._longest), lengths[:, None] - 1)
        where = starts[numbers][:, None] + at
        if self.by_answer:
            where = self._pools[split].answers[where]
        item = self._numbers[0][responses.item[where]]
        return Sequences(item, responses.answer[where] > 0, lengths)

    @property
    def varies(self) -> bool:
        """Always: students gave different numbers of answers."""
        return True


def few(students: int) -> str:
    """What to expect of a model that was trained on few students, in a sentence."""
    return (
        f"{students:,} students are few: a model of many numbers may predict worse than each "
        "question's share of right answers; `maml-bench compare` says which method to take."
    )


@contextmanager
def notes_are_printed() -> Iterator[None]:
    """Within this context, notes are not logged: :meth:`RecordedStudents.sentences` has them."""
    _LOGGER.disabled = True
    try:
        yield
    finally:
        _LOGGER.disabled = False


def _plain(path):
    """A path, or several, as text."""
    if isinstance(path, (list, tuple)):
        return [str(p) for p in path]
    return None if path is None else str(path)
