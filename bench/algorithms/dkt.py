"""Deep knowledge tracing: a recurrent network reads the answers in the order of time."""

import torch
from torch import Tensor, nn

from bench.base import arguments
from bench.learning.outer_schedule import OuterSchedule
from bench.learning.student_learner import Rows, StudentLearner, in_time_order, rows_of
from bench.models.irt import ItemParameters
from bench.tasks.episode import Episode, TaskSpec
from bench.tasks.questions import POSITION

WRONG, RIGHT, UNKNOWN = 0, 1, 2


class DKT(StudentLearner):
    """An LSTM whose state after each answer predicts the next.

    Piech et al., "Deep Knowledge Tracing", NeurIPS 2015 (arXiv:1506.05908), section 3. A question
    met whose answer is not shown enters as a third kind of answer, so that what lies further ahead
    can be predicted. Of answers that come after a query nothing is used.

    Args:
        hidden: size of the LSTM's state.
        ahead: whether to learn also to predict the whole query from the answers shown alone; costs
            a second pass, and helped on all data tried, even where the next answer is asked for.
        outer_lr: Adam's learning rate.
        outer_schedule: ``"cosine"`` lets it fall to zero over the whole run.
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    label = "DKT (LSTM)"
    recordable = True
    search = {"outer_lr": ("log", 1e-3, 3e-2), "hidden": ("choice", 32, 64, 128)}

    def __init__(
        self,
        hidden: int = 64,
        ahead: bool = True,
        outer_lr: float = 0.01,
        outer_schedule: OuterSchedule = "cosine",
        **kwargs,
    ):
        super().__init__(outer_lr=outer_lr, outer_schedule=outer_schedule, **kwargs)
        arguments.require_at_least(1, hidden=hidden)

    def build(self, spec: TaskSpec) -> nn.Module:
        """The network."""
        return Recurrent(spec, self.hparams["hidden"])

    def loss(self, episode: Episode) -> Tensor:
        """Minus the log-likelihood of each student's answers, ``[tasks]``.

        Of each answer given all before it, the query's among them, in one pass; with ``ahead``
        also of the query given what is shown.
        """
        rows, _ = in_time_order(rows_of(episode))
        loss = self._minus_log_likelihood(rows, rows.counts, rows.counts)
        if self.hparams["ahead"]:
            loss = loss + self._minus_log_likelihood(rows, rows.shown, rows.counts - rows.shown)
        return loss

    def predict(self, episode: Episode) -> Tensor:
        """Log-odds of each query given what was shown before it, ``[tasks, 1, query, 1]``."""
        rows, place = in_time_order(rows_of(episode))
        logits = self.net(rows.x, _kind(rows, rows.shown))[..., 0]
        asked = place[:, episode.support_y.shape[1] :]
        return logits.gather(1, asked)[:, None, :, None]

    def predict_next(self, episode: Episode) -> Tensor:
        """Log-odds of each query as the one question that follows, ``[tasks, query, 1]``.

        The state after the answers shown serves all of them.
        """
        none = [v[:, :0] for v in episode[2:4]]
        rows, _ = in_time_order(rows_of(Episode(*episode[:2], *none, episode.support_w)))
        states, last = self.net.states(rows.x, _kind(rows, rows.shown)), _met(rows)
        before = states.gather(1, last[:, None, None].expand(-1, 1, states.shape[-1]))
        return self.net.outputs(episode.query_x, before)

    def _minus_log_likelihood(self, rows: Rows, seen: Tensor, asked: Tensor) -> Tensor:
        logits = self.net(rows.x, _kind(rows, seen))
        return (self.objective.loss(logits, rows.y) * asked).sum(1)


def _met(rows: Rows) -> Tensor:
    """How many questions each student met, ``[tasks]``; padding lies behind them."""
    return (rows.x[..., POSITION] >= 0).sum(1)


def _kind(rows: Rows, seen: Tensor) -> Tensor:
    return torch.where((seen > 0) & (rows.x[..., POSITION] >= 0), rows.y.long(), UNKNOWN)


class Recurrent(nn.Module):
    """The LSTM between what is read of each question and what is predicted of it.

    Args:
        spec: tasks whose inputs are questions to students.
        hidden: size of the state, and of what is read.
    """

    recordable = True

    def __init__(self, spec: TaskSpec, hidden: int):
        super().__init__()
        self.read = ItemParameters(spec, 3 * hidden)  # a vector for each kind of answer
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self.ask = ItemParameters(spec, hidden + 1)
        with torch.no_grad():
            self.read.own.weight.normal_()
            self.ask.own.weight[:, :-1].normal_(std=hidden**-0.5)

    def forward(self, x: Tensor, kind: Tensor | None = None) -> Tensor:
        """Predicts each question from those before it.

        Args:
            x: ``[..., rows, columns]`` in the order of time.
            kind: ``[..., rows]`` wrong, right or unknown; None: all unknown.

        Returns:
            Log-odds ``[..., rows, 1]``.
        """
        if kind is None:
            kind = torch.full(x.shape[:-1], UNKNOWN, device=x.device)
        return self.outputs(x, self.states(x, kind)[..., :-1, :])

    def states(self, x: Tensor, kind: Tensor) -> Tensor:
        """The states before the first question and after each, ``[..., 1 + rows, hidden]``."""
        vectors = self.read(x).unflatten(-1, (3, -1))
        at = kind[..., None, None].expand(*kind.shape, 1, vectors.shape[-1])
        state, _ = self.lstm(vectors.gather(-2, at).squeeze(-2))
        return torch.cat([torch.zeros_like(state[..., :1, :]), state], -2)

    def outputs(self, x: Tensor, before: Tensor) -> Tensor:
        """Log-odds ``[..., rows, 1]`` of questions, by the states ``before`` them."""
        asked = self.ask(x)
        return (asked[..., :-1] * before).sum(-1, keepdim=True) + asked[..., -1:]
