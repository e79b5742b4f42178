"""Two-parameter item response theory, fitted by marginal maximum likelihood."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.learning.outer_schedule import OuterSchedule
from bench.learning.student_learner import StudentLearner, rows_of
from bench.models.irt import ItemParameters
from bench.tasks.episode import Episode, TaskSpec

# A grid of equal steps is exact to rounding for what is smooth and bell-shaped, however many
# answers narrow it, where the inner nodes of a Gauss-Hermite rule of this size lie too far apart.
NODES, WIDEST = 61, 6.0


class TwoPL(StudentLearner):
    """The log-odds of a right answer are ``a_item theta + d_item``, abilities standard normal.

    Birnbaum's model (in Lord and Novick, "Statistical Theories of Mental Test Scores", 1968), whose
    item parameters maximise the likelihood with the abilities integrated out (Bock and Aitkin,
    Psychometrika 46, 1981, equation 3), here by Adam. A prediction is the mean of the probability
    over the posterior of the ability given the answers shown, not that at a best guess of it. Both
    item parameters depend linearly on the item's features too.

    Args:
        outer_lr: Adam's learning rate for the item parameters.
        outer_schedule: ``"cosine"`` lets the rate fall to zero over the whole run.
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    label = "2PL, posterior mean"
    recordable = True

    discriminates = True  # whether items differ in a

    def __init__(self, outer_lr: float = 0.05, outer_schedule: OuterSchedule = "cosine", **kwargs):
        super().__init__(outer_lr=outer_lr, outer_schedule=outer_schedule, **kwargs)

    def build(self, spec: TaskSpec) -> nn.Module:
        """The item parameters."""
        return Items(spec, self.discriminates)

    def loss(self, episode: Episode) -> Tensor:
        """Minus the log of the marginal likelihood of all answers of each student, ``[tasks]``."""
        rows = rows_of(episode)
        return -self._joint(rows.x, rows.y, rows.counts).logsumexp(1)

    def predict(self, episode: Episode) -> Tensor:
        """Log-odds of the posterior mean probability of each query, ``[tasks, 1, query, 1]``."""
        posterior = self.posterior(episode)[:, None]
        logits = self.net(episode.query_x)
        right, wrong = ((posterior + F.logsigmoid(s * logits)).logsumexp(2) for s in (1, -1))
        return (right - wrong)[:, None, :, None]

    def ability(self, episode: Episode) -> Tensor:
        """The posterior mean of each student's ability, ``[tasks, 1]``."""
        return (self.posterior(episode).exp() * self.net.nodes).sum(1, keepdim=True)

    def posterior(self, episode: Episode) -> Tensor:
        """Log of the weight of each ability given the answers shown, ``[tasks, nodes]``."""
        rows = rows_of(episode)
        return self._joint(rows.x, rows.y, rows.shown).log_softmax(1)

    def _joint(self, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        """Log of the probability of each ability together with the answers, ``[tasks, nodes]``."""
        likelihood = F.logsigmoid((2 * y - 1)[..., None] * self.net(x)) * w[..., None]
        return self.net.prior + likelihood.sum(1)


class Items(nn.Module):
    """The item parameters, and the abilities at which integrals are taken.

    Args:
        spec: tasks whose inputs are questions to students.
        discriminates: whether items differ in a.
    """

    recordable = True

    def __init__(self, spec: TaskSpec, discriminates: bool):
        super().__init__()
        self.items = ItemParameters(spec, 1 + discriminates)
        self.discrimination = nn.Parameter(torch.ones(1))  # of the average item
        nodes = torch.linspace(-WIDEST, WIDEST, NODES)
        self.register_buffer("nodes", nodes, persistent=False)
        self.register_buffer("prior", (-(nodes**2) / 2).log_softmax(0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps questions ``[..., columns]`` to the log-odds at each ability ``[..., nodes]``."""
        d, *a = self.items(x).split(1, -1)
        return sum(a, self.discrimination) * self.nodes + d
