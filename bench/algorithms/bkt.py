"""Bayesian knowledge tracing: each skill is mastered or not, and practice may change that."""

import torch
from torch import Tensor, nn

from bench.learning.outer_schedule import OuterSchedule
from bench.learning.student_learner import Rows, StudentLearner, in_time_order, rows_of, skills_of
from bench.tasks.episode import Episode, TaskSpec
from bench.tasks.questions import POSITION

START = {"prior": 0.4, "learn": 0.1, "forget": 0.02, "guess": 0.2, "slip": 0.1}
LARGEST = {"guess": 0.5, "slip": 0.5}  # beyond, mastered and not would change places


class BKT(StudentLearner):
    """A hidden Markov chain of two states for each skill, independent of the other skills.

    Corbett and Anderson, "Knowledge Tracing", User Modeling and User-Adapted Interaction 4, 1995
    (prior, learn, guess, slip), with forgetting (Khajah, Lindsey and Mozer 2016,
    arXiv:1604.02416). Fitted by gradient on the likelihood that the forward algorithm gives. A
    question whose answer is not shown is an attempt all the same: it gives a chance to learn.

    Simplifications: an item of several skills is an attempt at each, as if its answer had been
    given to each apart, and is predicted by the mean of their log-odds. Where the data has no
    skills, all items are of one. Rows are taken in the order of time, and of answers that come
    after a query nothing is used.

    Args:
        outer_lr: Adam's learning rate for the log-odds of the probabilities.
        outer_schedule: ``"cosine"`` lets the rate fall to zero over the whole run.
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    label = "BKT"
    recordable = True

    def __init__(self, outer_lr: float = 0.05, outer_schedule: OuterSchedule = "cosine", **kwargs):
        super().__init__(outer_lr=outer_lr, outer_schedule=outer_schedule, **kwargs)

    def build(self, spec: TaskSpec) -> nn.Module:
        """The five probabilities of each skill."""
        return Chains(max(spec.skills, 1))

    def loss(self, episode: Episode) -> Tensor:
        """Minus the log-likelihood of all answers of each student, ``[tasks]``."""
        rows, _ = in_time_order(rows_of(episode))
        q = skills_of(rows.x, self.spec)
        right, _ = self._forward(rows, q, rows.counts)
        y = rows.y[..., None]
        likelihood = (y * right + (1 - y) * (1 - right)).log()
        return -((likelihood * q).sum(2) / q.sum(2).clamp_min(1) * rows.counts).sum(1)

    def predict(self, episode: Episode) -> Tensor:
        """Log-odds of each query given what was shown before it, ``[tasks, 1, query, 1]``."""
        rows, place = in_time_order(rows_of(episode))
        q = skills_of(rows.x, self.spec)
        right, _ = self._forward(rows, q, rows.shown)
        logits = (right.logit() * q).sum(2) / q.sum(2).clamp_min(1)
        asked = place[:, episode.support_y.shape[1] :]
        return logits.gather(1, asked)[:, None, :, None]

    def mastery(self, episode: Episode) -> Tensor:
        """Probability that each skill is mastered after the last question, ``[tasks, skills]``."""
        rows, _ = in_time_order(rows_of(episode))
        return self._forward(rows, skills_of(rows.x, self.spec), rows.shown)[1]

    def _forward(self, rows: Rows, q: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """The forward algorithm.

        Args:
            rows: in the order of time.
            q: ``[tasks, rows, skills]`` which skills each needs.
            seen: ``[tasks, rows]``, 1 where the answer may be used.

        Returns:
            ``[tasks, rows, skills]`` the probability of a right answer, were the item of that skill
            alone, given what was seen before, and ``[tasks, skills]`` the mastery at the end.
        """
        p = self.net.probabilities()
        practised = q * (rows.x[..., POSITION] >= 0)[..., None]
        y, seen = rows.y[..., None], seen[..., None] * practised > 0
        # likelihood of the answer in each state; 1 where it is not seen
        mastered = torch.where(seen, y * (1 - p["slip"]) + (1 - y) * p["slip"], 1)
        not_yet = torch.where(seen, y * p["guess"] + (1 - y) * (1 - p["guess"]), 1)
        mastery, found = p["prior"].expand(len(q), -1), []
        for known, unknown, attempt in zip(*(v.unbind(1) for v in (mastered, not_yet, practised))):
            found.append(mastery)
            joint = mastery * known
            posterior = joint / (joint + (1 - mastery) * unknown)
            after = posterior * (1 - p["forget"]) + (1 - posterior) * p["learn"]
            mastery = torch.where(attempt > 0, after, mastery)
        before = torch.stack(found, 1)
        return before * (1 - p["slip"]) + (1 - before) * p["guess"], mastery


class Chains(nn.Module):
    """The probabilities of :class:`BKT`, each through its log-odds.

    Args:
        skills: how many chains.
    """

    recordable = True

    def __init__(self, skills: int):
        super().__init__()
        self.log_odds = nn.ParameterDict(
            {
                name: torch.logit(torch.full((skills,), start / LARGEST.get(name, 1)))
                for name, start in START.items()
            }
        )

    def probabilities(self) -> dict[str, Tensor]:
        """``[skills]`` each: prior, learn, forget, guess and slip."""
        return {n: LARGEST.get(n, 1) * v.sigmoid() for n, v in self.log_odds.items()}

    def forward(self, x: Tensor) -> Tensor:
        """Maps questions ``[rows, columns]`` to the first log-odds of every skill."""
        p = self.probabilities()
        right = p["prior"] * (1 - p["slip"]) + (1 - p["prior"]) * p["guess"]
        return right.logit().expand(len(x), -1)
