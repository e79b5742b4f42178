"""Model-agnostic meta-learning, first and second order."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor

from bench.base.errors import BenchError
from bench.learning import heads
from bench.learning.heads import Head
from bench.learning.inner_loop import Fast, inner_loop
from bench.learning.learner import MetaLearner
from bench.learning.task_forward import TaskForward
from bench.tasks.episode import Episode
from bench.tasks.questions import ITEM

Order = Literal[1, 2]
InnerLoss = Literal["mean", "sum"]


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
        inner_loss: ``"mean"`` or ``"sum"`` over the support rows. With the sum, more rows move the
            parameters further, as more answers of a student should; ``inner_lr`` is then the rate
            of one row.
        head: where the network's last layer starts in each task. ``"learned"``: where training has
            brought it. ``"zero"``: at zero, which treats all classes alike however many there are
            (as Meta-Dataset does). ``"prototypes"``: at the prototypes of the support set, which
            is Proto-MAML. See :mod:`bench.learning.heads`.
        recompute: with order 2, compute each inner step again in the backward pass instead of
            keeping it: memory hardly grows with the inner steps, for about a third more time.
        **kwargs: see :class:`bench.learning.learner.MetaLearner`.
    """

    label = "MAML"
    recordable = True

    def __init__(
        self,
        order: Order = 2,
        inner_lr: float = 0.1,
        inner_steps: int = 1,
        test_steps: int | None = None,
        inner_loss: InnerLoss = "mean",
        head: Head = "learned",
        recompute: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, steps in (("inner_steps", inner_steps), ("test_steps", test_steps or 0)):
            if steps < 0:
                raise BenchError(f"{name}={steps!r}: give a whole number of at least 0")

    def configure_model(self) -> None:
        """Builds the network; a head that starts anew in each task is no parameter to learn."""
        super().configure_model()
        if self.hparams["head"] != "learned":
            heads.of(self.net, self.spec).requires_grad_(False)
            self.forward_features = TaskForward(self.net.features, self.forward_tasks.vectorised)

    @property
    def test_steps(self) -> int:
        """Inner steps at validation, test and prediction."""
        steps = self.hparams["test_steps"]
        return self.hparams["inner_steps"] if steps is None else steps

    def fast(self, episode: Episode) -> Fast:
        """The parameters that adapt, as they start: name to ``[tasks, ...]``.

        All that require a gradient; of a network that names them in ``adapts`` (parameters, or
        layers with all they hold), only those. The others are shared by all tasks.
        """
        tasks = len(episode.support_x)
        named = [(n, p) for n, p in self.net.named_parameters() if p.requires_grad]
        adapts = getattr(self.net, "adapts", None)
        if adapts is not None:
            named = [(n, p) for n, p in named if n in adapts or n.split(".")[0] in adapts]
            if not named:
                raise BenchError(
                    f"{type(self.net).__name__}.adapts={adapts!r} names no parameter that learns"
                )
        return {
            **{n: _laid_out(p).expand(tasks, *p.shape) for n, p in named},
            **self._head(episode),
        }

    def _head(self, episode: Episode) -> Fast:
        """The last layer of each task, if it starts anew."""
        if self.hparams["head"] == "learned":
            return {}
        if self.hparams["head"] == "zero":
            return heads.zero(self.net, len(episode.support_x))
        features = {
            n: p.expand(len(episode.support_x), *p.shape)
            for n, p in self.net.features.named_parameters()
        }
        rows = self.forward_features(features, episode.support_x)
        return heads.prototypes(rows, episode.support_y, episode.support_w, self.spec.outputs)

    def rate(self, name: str, step: int) -> Tensor | float:
        """Step size of a parameter at an inner step."""
        return self.hparams["inner_lr"]

    def adapted(self, episode: Episode, steps: int, order: int) -> Iterator[Fast]:
        """The parameters of every task after 0, 1, ..., ``steps`` steps on its support set."""

        def support_loss(fast: Fast) -> Tensor:
            x, y, w = episode.support_x, episode.support_y, episode.support_w
            outputs = self.within_ways(self.task_outputs(fast, x, w), episode)
            loss = self.mean_loss(outputs, y, w)
            if self.hparams["inner_loss"] == "mean":
                return loss
            return loss * (y.shape[1] if w is None else w.sum(1))

        fast = self.fast(episode)
        recompute = self.hparams["recompute"]
        learned = [p for p in self.parameters() if p.requires_grad] if recompute else []
        return inner_loop(support_loss, fast, steps, self.rate, order, recompute, learned)

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
        with torch.inference_mode(False):
            self.configure_model()
            x, y = self._tensor(support_x), self._tensor(support_y)
            self._check_support(x, y)
            if self.spec.classifies:
                y = y.long()
            episode = Episode(x[None], y[None], x[None], y[None])
            fast = deque(self.adapted(episode, self.test_steps, order=0), maxlen=1).pop()

        @torch.no_grad()
        def predictor(query_x: Tensor) -> Tensor:
            x = self._tensor(query_x)
            self._check_inputs("query_x", x)
            query = episode._replace(query_x=x[None])
            return self.objective.probabilities(self.query_outputs(fast, query)[0])

        return predictor

    def _tensor(self, values) -> Tensor:
        like = next(self.net.parameters())
        values = torch.as_tensor(values, device=like.device).clone()  # the clone can be adapted on
        return values.to(like.dtype) if values.is_floating_point() else values

    def _check_inputs(self, name: str, x: Tensor) -> None:
        spec, shape = self.spec, tuple(x.shape[1:])
        if not x.dim() or not len(x) or shape != spec.input_shape:
            raise BenchError(
                f"{name} has the shape {tuple(x.shape)}; this model takes one row or more of "
                f"shape {spec.input_shape} each"
            )
        if not x.is_floating_point():
            raise BenchError(f"{name} must hold floating-point numbers, not {x.dtype}")
        if spec.items and not 0 <= x[..., ITEM].min() <= x[..., ITEM].max() < spec.items:
            raise BenchError(f"column 0 of {name} must hold item numbers up to {spec.items - 1}")

    def _check_support(self, x: Tensor, y: Tensor) -> None:
        self._check_inputs("support_x", x)
        spec = self.spec
        shape = (len(x), spec.outputs) if spec.kind == "regression" else (len(x),)
        if y.shape != shape:
            raise BenchError(f"support_y has the shape {tuple(y.shape)}; these rows need {shape}")
        top = spec.outputs - 1 if spec.classifies else {"answers": 1}.get(spec.kind)
        if top is not None and not (0 <= y.min() <= y.max() <= top and torch.equal(y, y.round())):
            raise BenchError(f"support_y must hold whole numbers from 0 to {top}")


def _laid_out(p: Tensor) -> Tensor:
    """Convolution weights channels last, as the layers for many tasks want them at every step."""
    return p.contiguous(memory_format=torch.channels_last) if p.dim() == 4 else p
