"""Students of a file of answers, for policies to ask, and a model that knows the questions."""

import numpy as np
import torch
from torch import Tensor

from bench.base import checksums
from bench.data.students.episodes import Sequences
from bench.tutor.assessment import Answers
from bench.tutor.vocabulary import Vocabulary


class GivenStudents:
    """What :mod:`bench.tutor.selection` needs to know of a data set: all students are tested.

    Args:
        answers: of the students.
        words: of the model.
    """

    synthetic = False

    def __init__(self, answers: Answers, words: Vocabulary):
        self.answers, self.words = answers, words
        self.hparams = {"test_episodes": len(answers.students)}

    @property
    def checksum(self) -> str:
        """Of the answers and the names of the questions."""
        lengths = self.lengths("test")
        item, right = (np.concatenate(v) for v in (self.answers.item, self.answers.right))
        return checksums.digest([lengths, item, right, np.array(self.words.items, np.str_)])

    def lengths(self, split: str) -> np.ndarray:
        """How many answers each student gave, ``[students]``."""
        return np.array([len(item) for item in self.answers.item])

    def sequences(self, split: str, students: np.ndarray) -> Sequences:
        """The answers of students, padded to the longest of all."""
        lengths = self.lengths(split)
        padded = np.zeros((2, len(students), lengths.max()), np.int64)
        for row, s in enumerate(students):
            padded[:, row, : lengths[s]] = self.answers.item[s], self.answers.right[s]
        return Sequences(padded[0], padded[1] > 0, lengths[students])

    def questions(self, split: str, students: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Rows, answers and what is no padding, as of a data set of students."""
        item, right, lengths = map(torch.from_numpy, self.sequences(split, students))
        place = torch.arange(item.shape[1]).expand(item.shape)
        there = place < lengths[:, None]
        x = self.words.rows(item, torch.where(there, place, -1))
        return x, (right & there).to(x), there
