"""Models of students that are fitted to all training answers at once, and not step by step."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from bench.base.errors import BenchError
from bench.learning.learner import MetaLearner
from bench.learning.student_learner import StudentLearner
from bench.tasks.episode import MetaBatch
from bench.tasks.questions import POSITION

STUDENTS = 4096  # read together, which bounds the memory
SPARSE = 8  # times as many cells as answers: a table with more is kept as a list of answers


class Answers(NamedTuple):
    """All answers to fit a model to.

    Attributes:
        questions: ``[questions, columns]``, distinct input rows; their position is 0.
        right: ``[students, questions]`` float64, how often each student answered each right.
        asked: ``[students, questions]`` float64, how often it was asked.
        longest: how many questions came before the last one of any student.
    """

    questions: Tensor
    right: Tensor
    asked: Tensor
    longest: int = 0

    def of(self, students: range) -> "Answers":
        """Those of some students alone."""
        some = torch.tensor(students, device=self.right.device)  # sparse tables are not sliced
        right, asked = (table.index_select(0, some) for table in (self.right, self.asked))
        return Answers(self.questions, right, asked, self.longest)


class DirectlyFitted(StudentLearner):
    """A model of students whose parameters are found at once from all training answers.

    The first training step does so, and is the last: episodes are no samples then, and there is no
    outer learning rate. Of recorded students every training student counts once, with all answers;
    of students made up without end those of all episodes that the run would have had. Each of
    several devices finds the same. Where no data module offers its training answers, the model is
    fitted to episodes by gradient steps, as any other.

    A subclass implements :meth:`solve` beside what :class:`StudentLearner` asks for.

    Args:
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    fits_directly = True
    search = {"outer_lr": None}

    def solve(self, answers: Answers) -> None:
        """Sets the parameters to what fits the answers best."""
        raise NotImplementedError

    def training_step(self, batch: MetaBatch, batch_idx: int) -> Tensor:
        """Solves for the parameters, and ends the training."""
        if not has_answers(self):
            return super().training_step(batch, batch_idx)
        if self.global_step == 0:
            self.solve(all_answers(self))
            if not all(p.isfinite().all() for p in self.parameters()):
                raise BenchError(f"{type(self).__name__}: no finite parameters fit the answers")
        self.trainer.should_stop = True
        return self.meta_step.nothing()


def has_answers(learner: MetaLearner) -> bool:
    """Whether the data that a learner is trained on offer their answers at once."""
    return hasattr(getattr(learner.trainer, "datamodule", None), "training_answers")


def all_answers(learner: MetaLearner) -> Answers:
    """Those of all students that a learner is trained on; without an end, of all its episodes."""
    data = learner.trainer.datamodule
    return read(data, data.training_tasks or learner.training_episodes, learner.parameters())


def read(data, count: int, like: Iterable[Tensor]) -> Answers:
    """Reads the first training students, some at a time.

    Args:
        data: a data module with ``training_answers``.
        count: how many students.
        like: parameters, of whose kind and on whose device the answers are wanted.
    """
    parts, starts, longest = [], np.arange(0, count, STUDENTS), 0
    for start in starts:
        students = np.arange(start, min(start + STUDENTS, count))
        x, y, there = (v.numpy() for v in data.training_answers(students))
        student, place = there.nonzero()
        rows = x[student, place]
        longest = max(longest, int(rows[:, POSITION].max(initial=0)))
        rows[:, POSITION] = 0
        distinct, question = _distinct(rows)
        parts.append((student + start, distinct, question, y[student, place]))
    students, distinct, questions, right = zip(*parts)
    questions_before = np.cumsum([0, *map(len, distinct)])[:-1]
    every, number = _distinct(np.concatenate(distinct))
    at = np.concatenate([q + before for q, before in zip(questions, questions_before)])
    cells = torch.from_numpy(np.stack([np.concatenate(students), number[at]]))
    parameter = next(iter(like))
    asked, right = (
        _table(cells, torch.from_numpy(v).double(), (count, len(every))).to(parameter.device)
        for v in (np.ones(len(at)), np.concatenate(right))
    )
    return Answers(torch.from_numpy(every).to(parameter), right, asked, longest)


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows, in the order in which they turn up, and which of them each row is."""
    columns = [c for c in range(rows.shape[1]) if c != POSITION]  # which is 0 in all
    number = pd.DataFrame(rows).groupby(columns, sort=False).ngroup().to_numpy()
    first = np.empty(number.max() + 1, np.int64)
    first[number[::-1]] = np.arange(len(rows))[::-1]
    return rows[first], number


def _table(cells: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """Sums of values by student and question, dense where many cells are filled."""
    table = torch.sparse_coo_tensor(cells, values, shape, check_invariants=False).coalesce()
    return table.to_dense() if shape[0] * shape[1] <= SPARSE * len(values) else table
