"""MAML++: what makes MAML train more steadily, each part with a switch of its own."""

from torch import Tensor

from bench.base.errors import BenchError
from bench.learning.batch_norm import is_batch_norm
from bench.learning.gradient_based import GradientBased
from bench.learning.inner_loop import Fast
from bench.learning.meta_step import RECORDS
from bench.learning.outer_schedule import OuterSchedule
from bench.learning.per_parameter import PerParameter
from bench.tasks.episode import Episode

LEAST = 0.03  # of its first weight: what the loss after an earlier step keeps until it is left out


class MAMLPlusPlus(GradientBased):
    """MAML with the parts of "How to train your MAML", of which any may be switched off.

    Antoniou, Edwards and Storkey, ICLR 2019 (arXiv:1810.09502), section 4: multi-step loss
    (``sum_k v_k L_query(theta_k)``), learned inner rates for each layer and step, derivative-order
    annealing, weights of batch norm for each step, and a cosine schedule of the outer rate. With
    all switched off it is MAML.

    What differs from the authors' code: normalisation is by the rows at hand, at every step, so
    there are no running statistics to keep for each step; the outer rate falls to zero and not to
    1e-5; the schedules go by iterations and not by epochs; the test is by one network and not by
    an ensemble of the five best of a run; a network may take more steps at test than in training,
    which then use the last step's rates and batch norm. As there, "layer" means each tensor of
    parameters.

    All other arguments are those of :class:`bench.learning.gradient_based.GradientBased`.

    Args:
        inner_steps: gradient steps on the support set while training, 5 in the paper.
        multi_step_share: the share of the training in which the query losses after all inner steps
            count, all alike at first, then the last one more and more. 0: the last one alone.
        learn_rates: whether each tensor of parameters learns a rate for each inner step.
        first_order_share: the share of the training that begins with first order. 0: ``order``
            throughout. The paper has 50 of 100 or 150 epochs.
        per_step_batch_norm: whether batch norm learns a weight and bias for each inner step; they
            then do not adapt.
        outer_schedule: ``"cosine"`` lets the outer rate fall to zero, ``"constant"`` does not.
        **kwargs: see :class:`bench.learning.gradient_based.GradientBased`.
    """

    label = "MAML++"
    search = {"first_order_share": ("linear", 0.0, 0.6)}

    def __init__(
        self,
        inner_steps: int = 5,
        multi_step_share: float = 0.1,
        learn_rates: bool = True,
        first_order_share: float = 0.3,
        per_step_batch_norm: bool = True,
        outer_schedule: OuterSchedule = "cosine",
        **kwargs,
    ):
        super().__init__(inner_steps=inner_steps, outer_schedule=outer_schedule, **kwargs)
        if inner_steps < 1:
            raise BenchError(f"inner_steps={inner_steps!r}: MAML++ needs at least 1")
        shares = {"multi_step_share": multi_step_share, "first_order_share": first_order_share}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise BenchError(f"{name}={share!r}: give a number from 0 to 1")
        if self.hparams["engine"] in RECORDS and any(shares.values()):
            raise BenchError(
                f"engine={self.hparams['engine']!r} would go on with the loss of the first "
                "iteration: use engine='batched', or multi_step_share=0 and first_order_share=0"
            )

    def configure_parameters(self) -> None:
        """Makes the rates and the batch norm of every step, from where the network's starts."""
        super().configure_parameters()
        steps, adapting = self.hparams["inner_steps"], self.adapting()
        norms = {}
        if self.hparams["per_step_batch_norm"]:
            layers = (path for path, m in self.net.named_modules() if is_batch_norm(m))
            names = {f"{path}.{n}" for path in layers for n in ("weight", "bias")}
            norms = {n: p for n, p in adapting.items() if n in names}
        for p in norms.values():
            p.requires_grad_(False)
        self.norms = PerParameter(
            {n: p.detach().expand(steps, *p.shape).clone() for n, p in norms.items()}
        )
        if self.hparams["learn_rates"]:
            rate = self.hparams["inner_lr"]
            self.rates = PerParameter(
                {n: p.new_full((steps,), rate) for n, p in adapting.items() if n not in norms}
            )

    def rate(self, name: str, step: int) -> Tensor | float:
        """The learned rate of a tensor of parameters at a step."""
        if not self.hparams["learn_rates"]:
            return super().rate(name, step)
        return self.rates[name][self._trained(step)]

    def start(self, episode: Episode) -> Fast:
        """Where MAML starts, with the first step's batch norm."""
        return super().start(episode) | self._norms_at(0, len(episode.support_x))

    def support_loss(self, fast: Fast, episode: Episode, step: int) -> Tensor:
        """The support loss with the batch norm of the step, ``[tasks]``."""
        norms = self._norms_at(step, len(episode.support_x))
        return super().support_loss(fast | norms, episode, step)

    def update(self, fast: Fast, gradients: Fast, step: int) -> Fast:
        """Gradient descent; the query that follows is normalised as the support set was."""
        moved = {n: v for n, v in fast.items() if n not in self.norms.names}
        tasks = len(next(iter(fast.values())))
        return super().update(moved, gradients, step) | self._norms_at(step, tasks)

    def loss(self, episode: Episode) -> Tensor:
        """The weighted query losses after the inner steps, ``[tasks]``."""
        first = self.progress < self.hparams["first_order_share"]
        order = 1 if first else self.hparams["order"]
        steps = self.adapted(episode, self.hparams["inner_steps"], order)
        y, w = episode.query_y, episode.query_w
        losses = (
            weight * self.mean_loss(self.query_outputs(fast, episode), y, w)
            for weight, fast in zip(self.loss_weights(), steps)
            if weight
        )
        return sum(losses) + self.prior

    def loss_weights(self) -> list[float]:
        """Those of the query losses after 0, 1, ... inner steps; they add up to 1."""
        steps, share = self.hparams["inner_steps"], self.hparams["multi_step_share"]
        if self.progress >= share:
            return [0.0] * steps + [1.0]
        earlier = max(1 - self.progress / share, LEAST) / steps
        return [0.0, *[earlier] * (steps - 1), 1 - earlier * (steps - 1)]

    def _norms_at(self, step: int, tasks: int) -> Fast:
        """Batch norm's weights and biases at a step, for every task."""
        at = self._trained(step)
        return {n: self.norms[n][at].expand(tasks, -1) for n in self.norms.names}

    def _trained(self, step: int) -> int:
        """The step itself, or the last one in training."""
        return min(step, self.hparams["inner_steps"] - 1)
