"""A simple tutor's rule: how often the student was right so far, skill by skill."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.learning.outer_schedule import OuterSchedule
from bench.learning.student_learner import StudentLearner, rows_of, skills_of
from bench.models.irt import ItemParameters
from bench.tasks.episode import Episode, TaskSpec


class SkillRunningMean(StudentLearner):
    """The item's log-odds, moved by how much better than others the student was on its skills.

    Of r right among n answers shown on a skill that people answer right with probability p, the
    running mean ``m = (r + s p) / (n + s)`` shrinks to p with a learned strength s; an item's
    log-odds move by a learned multiple of ``logit m - logit p``, the mean over its skills. Where
    the data has no skills, all items are of one, and m is the student's own running mean.

    Args:
        outer_lr: Adam's learning rate.
        outer_schedule: ``"cosine"`` lets the rate fall to zero over the whole run.
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    label = "running mean of the skill"
    recordable = True

    def __init__(self, outer_lr: float = 0.05, outer_schedule: OuterSchedule = "cosine", **kwargs):
        super().__init__(outer_lr=outer_lr, outer_schedule=outer_schedule, **kwargs)

    def build(self, spec: TaskSpec) -> nn.Module:
        """The log-odds of items and skills, and how far to trust a running mean."""
        return Means(spec)

    def loss(self, episode: Episode) -> Tensor:
        """Minus the log-likelihood of the query, and of the means themselves, ``[tasks]``.

        The second part makes p a skill's mean and nothing else.
        """
        rows, net = rows_of(episode), self.net
        q = skills_of(rows.x, self.spec)
        means = -F.logsigmoid((2 * rows.y - 1)[..., None] * net.skills)
        predicted = self.objective.loss(self.predict(episode)[:, 0], episode.query_y)
        asked = rows.counts[:, -predicted.shape[1] :]
        return (predicted * asked).sum(1) + (means * q * rows.counts[..., None]).sum((1, 2))

    def predict(self, episode: Episode) -> Tensor:
        """Log-odds of each query, ``[tasks, 1, query, 1]``."""
        rows, net = rows_of(episode), self.net
        q = skills_of(rows.x, self.spec) * rows.shown[..., None]
        n, right = q.sum(1), (q * rows.y[..., None]).sum(1)  # [tasks, skills]
        strength, p = net.strength.exp(), net.skills.sigmoid()
        better = ((right + strength * p) / (n + strength)).logit() - net.skills
        asked = skills_of(episode.query_x, self.spec)
        moved = (asked * (net.trust * better)[:, None]).sum(2) / asked.sum(2).clamp_min(1)
        return (net(episode.query_x) + moved[..., None])[:, None]


class Means(nn.Module):
    """What :class:`SkillRunningMean` learns.

    Args:
        spec: tasks whose inputs are questions to students.
    """

    recordable = True

    def __init__(self, spec: TaskSpec):
        super().__init__()
        skills = max(spec.skills, 1)
        self.items = ItemParameters(spec, 1)
        self.skills = nn.Parameter(torch.zeros(skills))  # log-odds of p
        self.strength = nn.Parameter(torch.full((skills,), 1.0))  # its logarithm
        self.trust = nn.Parameter(torch.ones(skills))

    def forward(self, x: Tensor) -> Tensor:
        """Maps questions ``[..., columns]`` to log-odds ``[..., 1]``."""
        return self.items(x)
