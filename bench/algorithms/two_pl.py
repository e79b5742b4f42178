"""Two-parameter item response theory, fitted by marginal maximum likelihood."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.learning.direct_fit import Answers, DirectlyFitted
from bench.learning.outer_schedule import OuterSchedule
from bench.learning.student_learner import rows_of
from bench.models.irt import DISCRIMINATION_SD, EASINESS_SD, ItemParameters
from bench.tasks.episode import Episode, TaskSpec

# A grid of equal steps is exact to rounding for what is smooth and bell-shaped, however many
# answers narrow it, where the inner nodes of a Gauss-Hermite rule of this size lie too far apart.
NODES, WIDEST = 61, 6.0
PRIOR_SD = (EASINESS_SD, DISCRIMINATION_SD)  # of d and a: an item's around the average, a skill's
FIRST, MOST_STEPS = 2000, 200  # students, and steps of L-BFGS
GRADIENT = 1e-5  # of the mean over students: far below what chance does to thousands of them


class TwoPL(DirectlyFitted):
    """The log-odds of a right answer are ``a_item theta + d_item``, abilities standard normal.

    Birnbaum's model (in Lord and Novick, "Statistical Theories of Mental Test Scores", 1968), whose
    item parameters maximise the likelihood with the abilities integrated out (Bock and Aitkin,
    Psychometrika 46, 1981, equation 3), here by L-BFGS. What few answers say nothing of is held by
    a weak normal prior around the average item, as in BILOG (Mislevy and Bock, 1990). A prediction
    is the mean of the probability over the posterior of the ability given the answers shown, not
    that at a best guess of it. Both item parameters depend linearly on the item's features too.

    Args:
        outer_lr: Adam's learning rate for the item parameters, where it is fitted to episodes
            (without the prior).
        outer_schedule: ``"cosine"`` lets that rate fall to zero over the whole run.
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    label = "2PL, posterior mean"
    recordable = True
    queries_apart = True

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

    def solve(self, answers: Answers, last_steps: int = MOST_STEPS) -> None:
        """Maximises the marginal likelihood of all answers, and the prior, by L-BFGS.

        It begins with some of the students, from whom the way to the maximum is about the same.

        Args:
            answers: of all students.
            last_steps: at most, with all of more students than it begins with; those that are left
                change little.
        """
        students = len(answers.right)
        for count in sorted({min(FIRST, students), students}):
            optimizer = torch.optim.LBFGS(
                self.net.parameters(),
                max_iter=MOST_STEPS if count <= FIRST else last_steps,
                tolerance_grad=GRADIENT,
                tolerance_change=0,
                line_search_fn="strong_wolfe",
            )
            optimizer.step(partial(self.objective_and_gradient, answers.of(range(count))))
        self.zero_grad()

    def objective_and_gradient(self, answers: Answers) -> Tensor:
        """What :meth:`solve` makes smallest, whose gradient it leaves in the parameters.

        The gradient of a marginal likelihood is the mean gradient of the likelihood over the
        posterior (Bock and Aitkin, equation 8), so that no graph over answers is needed.

        Returns:
            Minus the log of marginal likelihood and prior, the mean over students.
        """
        self.zero_grad()
        right, asked, students = answers.right, answers.asked, len(answers.right)
        with torch.enable_grad():
            logits = self.net(answers.questions)  # [questions, nodes]
            own, effects = self.net.items.own.weight, self.net.items.effects
            apart = torch.cat([own[:, :1] - own[:, :1].mean(), own[:, 1:]], 1)  # a has an average
            apart = apart if effects is None else torch.cat([apart, effects])
            apart = apart / own.new_tensor(PRIOR_SD)[: own.shape[1]]
            prior = apart.square().sum() / 2 / students
        at = logits.detach().double()
        joint = self._joint_of_all(answers, at)
        posterior = joint.softmax(1)
        slope = (asked.t() @ posterior) * at.sigmoid() - right.t() @ posterior
        slope = (slope / students).to(logits)
        torch.autograd.backward([logits, prior], [slope, torch.ones_like(prior)])
        return prior.detach() - joint.logsumexp(1).mean()

    @torch.no_grad()
    def probabilities(self, answers: Answers) -> Tensor:
        """Of right answers to each question by students who gave these, ``[students, questions]``.

        Their mean over the posterior of the ability given all answers of the student.
        """
        at = self.net(answers.questions).double()
        return self._joint_of_all(answers, at).softmax(1) @ at.sigmoid().t()

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

    def _joint_of_all(self, answers: Answers, logits: Tensor) -> Tensor:
        """The same of whole tables, given log-odds ``[questions, nodes]``, in their precision."""
        likelihood = answers.right @ logits + answers.asked @ F.logsigmoid(-logits)
        return self.net.prior.to(logits) + likelihood


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
