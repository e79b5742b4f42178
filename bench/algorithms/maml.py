"""Model-agnostic meta-learning, first and second order."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor

from bench.episode import Episode
from bench.errors import BenchError
from bench.inner_loop import Fast, inner_loop
from bench.learner import MetaLearner


class MAML(MetaLearner):
    """MAML: an initialisation from which a few gradient steps fit a new task.

    ``theta <- theta - beta * grad_theta sum_t L_t^query(theta - alpha * grad L_t^support(theta))``

    Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML 2017 (arXiv:1703.03400), equation 1 and the meta-objective below it. With ``order=1`` the
    inner gradients are constants of the outer one (their section 5.2, "first-order MAML").

    Args:
        order: 2 differentiates through the inner loop; 1 does not, and builds no graph for it.
        inner_lr: inner learning rate, in terms of the **mean** loss over the support set. The
            loss of the MAML paper's code is ``ways`` times larger: its 0.4 for 5-way Omniglot is
            2.0 here.
        inner_steps: gradient steps on the support set while training.
        test_steps: gradient steps at validation, test and prediction; None: ``inner_steps``.
        **kwargs: see :class:`bench.learner.MetaLearner`.
    """

    def __init__(
        self,
        order: Literal[1, 2] = 2,
        inner_lr: float = 0.1,
        inner_steps: int = 1,
        test_steps: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if order not in (1, 2):
            raise BenchError(f"order={order!r}: choose 1 (first-order MAML) or 2")
        for name, steps in (("inner_steps", inner_steps), ("test_steps", test_steps or 0)):
            if steps < 0:
                raise BenchError(f"{name}={steps}: choose 0 or more")

    @property
    def test_steps(self) -> int:
        """Inner steps at validation, test and prediction."""
        steps = self.hparams["test_steps"]
        return self.hparams["inner_steps"] if steps is None else steps

    def fast(self, tasks: int) -> Fast:
        """The parameters that adapt, one copy a task: name to ``[tasks, ...]``."""
        named = self.net.named_parameters()
        return {n: p.expand(tasks, *p.shape) for n, p in named if p.requires_grad}

    def rate(self, name: str, step: int) -> Tensor | float:
        """Step size of a parameter at an inner step."""
        return self.hparams["inner_lr"]

    def adapted(self, episode: Episode, steps: int, order: int) -> Iterator[Fast]:
        """The parameters of every task after 0, 1, ..., ``steps`` steps on its support set."""

        def support_loss(fast: Fast) -> Tensor:
            outputs = self.forward_tasks(fast, episode.support_x)
            return self.mean_loss(outputs, episode.support_y, episode.support_w)

        return inner_loop(support_loss, self.fast(len(episode.support_x)), steps, self.rate, order)

    def loss(self, episode: Episode) -> Tensor:
        """Loss on the query after adaptation, ``[tasks]``."""
        steps = self.adapted(episode, self.hparams["inner_steps"], self.hparams["order"])
        fast = deque(steps, maxlen=1).pop()
        return self.mean_loss(self.query_outputs(fast, episode), episode.query_y, episode.query_w)

    def predict(self, episode: Episode) -> Tensor:
        """Outputs for the query after each inner step, ``[tasks, steps, query, outputs]``."""
        outputs = []
        for fast in self.adapted(episode, self.test_steps, order=0):
            with torch.no_grad():
                outputs.append(self.query_outputs(fast, episode))
        return torch.stack(outputs, 1)

    def adapt(self, support_x: Tensor, support_y: Tensor) -> Callable[[Tensor], Tensor]:
        """Adapts to a user's own few examples, outside any Trainer.

        Args:
            support_x: ``[support, *input_shape]``.
            support_y: ``[support]`` class numbers below ``outputs``, or as in an episode.

        Returns:
            A function from query inputs ``[query, *input_shape]`` to probabilities
            ``[query, outputs]`` (of a regression: to the prediction).

        Raises:
            BenchError: if the shapes or the class numbers do not fit the model's tasks.
        """
        self.configure_model()
        spec, shape = self.spec, tuple(support_x.shape[1:])
        if shape != spec.input_shape or len(support_x) != len(support_y) or not len(support_y):
            raise BenchError(
                f"support_x has rows of shape {shape} and {len(support_x)} of them, support_y has "
                f"{len(support_y)}; this model takes rows of shape {spec.input_shape}, one target "
                "each"
            )
        if (
            spec.kind == "classification"
            and not 0 <= support_y.min() <= support_y.max() < spec.outputs
        ):
            raise BenchError(f"support_y must hold class numbers from 0 to {spec.outputs - 1}")
        support_x, support_y = support_x.to(self.device), support_y.to(self.device)
        support = support_x[None], support_y[None]
        episode = Episode(*support, *support)
        with torch.inference_mode(False):
            fast = deque(self.adapted(episode, self.test_steps, order=0), maxlen=1).pop()

        @torch.no_grad()
        def predictor(query_x: Tensor) -> Tensor:
            query = episode._replace(query_x=query_x.to(self.device)[None])
            return self.objective.probabilities(self.query_outputs(fast, query)[0])

        return predictor
