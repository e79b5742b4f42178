"""What models of students that are fitted, not adapted, share: a net of their own and the rows."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.learning.learner import MetaLearner
from bench.tasks.episode import Episode, TaskSpec
from bench.tasks.questions import FEATURES, POSITION


class StudentLearner(MetaLearner):
    """A model of students, for tasks whose rows are questions.

    A subclass implements :meth:`build`, :meth:`loss` and :meth:`predict`. Its loss is minus the
    logarithm of a likelihood of all answers of a student in the episode, so that answers weigh
    alike whichever student gave them.

    Args:
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    kinds = ("answers",)
    search = {"outer_lr": ("log", 1e-2, 0.3)}

    def build(self, spec: TaskSpec) -> nn.Module:
        """The model's parameters, as a module that can be called on ``[rows, columns]``."""
        raise NotImplementedError

    def configure_model(self) -> None:
        """Builds the network.

        Raises:
            BenchError: for tasks that are no students, and a model of the user's.
        """
        if self.net is not None:
            return
        name = type(self).__name__
        if not self.spec.items:
            raise BenchError(f"{name} needs tasks whose inputs are questions to students")
        if self._given_model[0] is not None:
            raise BenchError(f"{name} has a network of its own: leave model out")
        super().configure_model()


class Rows(NamedTuple):
    """The questions of each student in an episode, those of the support before the query's.

    Attributes:
        x: ``[tasks, rows, columns]``.
        y: ``[tasks, rows]`` answers, to be read where ``shown`` or ``counts`` says so.
        shown: ``[tasks, rows]``, 1 where the answer is shown.
        counts: ``[tasks, rows]``, 1 where the answer is shown or asked for.
    """

    x: Tensor
    y: Tensor
    shown: Tensor
    counts: Tensor


def rows_of(episode: Episode) -> Rows:
    """All rows of an episode; padding is neither shown nor counts."""
    x = torch.cat([episode.support_x, episode.query_x], 1)
    y = torch.cat([episode.support_y, episode.query_y], 1).to(x.dtype)
    one = torch.ones_like(y[:, :1])
    support, query = (
        one.expand(part.shape) if w is None else w.to(x.dtype)
        for part, w in (
            (episode.support_y, episode.support_w),
            (episode.query_y, episode.query_w),
        )
    )
    shown = torch.cat([support, torch.zeros_like(query)], 1)
    return Rows(x, y, shown, torch.cat([support, query], 1))


def in_time_order(rows: Rows) -> tuple[Rows, Tensor]:
    """Sorts rows by their position, padding last.

    Returns:
        The sorted rows, and ``[tasks, rows]`` where each row has gone.
    """
    position = rows.x[..., POSITION]
    order = torch.where(position < 0, torch.inf, position).argsort(stable=True, dim=1)
    x = rows.x.gather(1, order[..., None].expand(rows.x.shape))
    others = (v.gather(1, order) for v in rows[1:])
    return Rows(x, *others), order.argsort(1)


def skills_of(x: Tensor, spec: TaskSpec) -> Tensor:
    """Which skills each question needs, ``[tasks, rows, skills]``; one of all, without skills."""
    return x[..., FEATURES : FEATURES + spec.skills] if spec.skills else torch.ones_like(x[..., :1])
