"""Logistic regression on a running logit with decay: the simplest model that follows a student."""

import torch
from torch import Tensor, nn

from bench.learning.outer_schedule import OuterSchedule
from bench.learning.student_learner import StudentLearner, in_time_order, rows_of, skills_of
from bench.models.irt import ItemParameters
from bench.tasks.episode import Episode, TaskSpec
from bench.tasks.questions import POSITION


class Logitdec(StudentLearner):
    """Seven numbers, and the log-odds of each item.

    The log-odds of a right answer are
    ``b + w_1 student + w_2 item + w_3 successes + w_4 recency``:

    * student: ``log (d^n + sum_i y_i d^(a_i)) / (d^n + sum_i (1 - y_i) d^(a_i))`` over the n
      answers shown, of which ``a_i`` lie between answer i and the question; the first terms are one
      right and one wrong answer before all others.
    * item: the log-odds of the item among all training students.
    * successes: ``log (1 + k)``, k the right answers shown before on the item's skill.
    * recency: ``t^-c``, t the questions since the skill was met before; 0 if it was not.

    Of several skills, the last two are means over them; where the data has no skills, all items
    are of one. Learned are the five coefficients, d and c.

    Pavlik and Eglington, "Evolutionary Features for Mitigating Cold Starts in Logistic Knowledge
    Tracing", EDM 2025 (short papers), the model of logitdec, logitdecevol, logsuc and recency,
    after Pavlik, Eglington and Harrell-Williams 2021 (arXiv:2005.00869). Their logitdecevol is the
    running logit of a skill over all students; here the item's log-odds stand for it. Their code
    looks back 60 answers, and measures recency in seconds. Answers that are shown and come later
    than a question count for the student as those before it, which matters where ``protocol`` is
    ``"random"``.

    Args:
        outer_lr: Adam's learning rate.
        outer_schedule: ``"cosine"`` lets the rate fall to zero over the whole run.
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    label = "logitdec"
    role = "baseline"
    recordable = True

    def __init__(self, outer_lr: float = 0.05, outer_schedule: OuterSchedule = "cosine", **kwargs):
        super().__init__(outer_lr=outer_lr, outer_schedule=outer_schedule, **kwargs)

    def build(self, spec: TaskSpec) -> nn.Module:
        """The seven numbers and the items."""
        return Coefficients(spec)

    def loss(self, episode: Episode) -> Tensor:
        """Minus the log-likelihood of the query, and of the items' log-odds by themselves.

        The second part alone makes the log-odds of the items, ``[tasks]``.
        """
        rows = rows_of(episode)
        items = self.objective.loss(self.net(rows.x), rows.y) * rows.counts
        predicted = self.objective.loss(self.predict(episode)[:, 0], episode.query_y)
        asked = rows.counts[:, -predicted.shape[1] :]
        return (predicted * asked).sum(1) + items.sum(1)

    def predict(self, episode: Episode) -> Tensor:
        """Log-odds of each query, ``[tasks, 1, query, 1]``."""
        rows, place = in_time_order(rows_of(episode))
        net, q = self.net, skills_of(rows.x, self.spec)
        position = rows.x[..., POSITION]
        q = q * (position >= 0)[..., None]

        # the student: answers shown, by how many of them lie between [tasks, question, answer]
        number, n = rows.shown.cumsum(1), rows.shown.sum(1)[:, None]
        before, number = (number - rows.shown)[..., None], number[:, None]
        between = torch.where(number <= before, before - number, number - 1 - before)
        decay = net.log_odds_of_decay.sigmoid()
        weight = decay**between * rows.shown[:, None]
        right, wrong = ((weight * y[:, None]).sum(2) for y in (rows.y, 1 - rows.y))
        student = ((decay**n + right) / (decay**n + wrong)).log()

        # the skill: what came before [tasks, question, skills]
        gained = q * (rows.y * rows.shown)[..., None]
        successes = (gained.cumsum(1) - gained).log1p()
        met = torch.where(q > 0, position[..., None], -torch.inf).cummax(1).values
        met = torch.cat([torch.full_like(met[:, :1], -torch.inf), met[:, :-1]], 1)
        since = torch.where(met >= 0, position[..., None] - met, 1).clamp_min(1)
        recency = (met >= 0) * since ** -net.log_forgetting.exp()
        of_skill = [(q * v).sum(2) / q.sum(2).clamp_min(1) for v in (successes, recency)]

        item = net(rows.x).squeeze(-1).detach()
        features = torch.stack([torch.ones_like(item), student, item, *of_skill], -1)
        asked = place[:, episode.support_y.shape[1] :]
        return (features @ net.coefficients).gather(1, asked)[:, None, :, None]


class Coefficients(nn.Module):
    """What :class:`Logitdec` learns.

    Args:
        spec: tasks whose inputs are questions to students.
    """

    recordable = True

    def __init__(self, spec: TaskSpec):
        super().__init__()
        self.items = ItemParameters(spec, 1)
        # of one, student, item, successes and recency
        self.coefficients = nn.Parameter(torch.tensor([0.0, 0.5, 1.0, 0.0, 0.0]))
        self.log_odds_of_decay = nn.Parameter(torch.tensor(0.98).logit())
        self.log_forgetting = nn.Parameter(torch.tensor(0.25).log())

    def forward(self, x: Tensor) -> Tensor:
        """Maps questions ``[..., columns]`` to the item's log-odds ``[..., 1]``."""
        return self.items(x)
