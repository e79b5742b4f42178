"""ANIL: the head alone adapts."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.learning.gradient_based import GradientBased
from bench.learning.inner_loop import Fast
from bench.learning.networks import features_of, head_of
from bench.learning.task_forward import TaskForward
from bench.tasks.episode import Episode


class ANIL(GradientBased):
    """Almost no inner loop: MAML whose inner steps move the head alone.

    ``h' <- h - alpha * grad_h L_support(b, h)``, with the body ``b`` and the head ``h`` learned by
    the outer loop through it: Raghu, Raghu, Bengio and Vinyals, "Rapid Learning or Feature Reuse?
    Towards Understanding the Effectiveness of MAML", ICLR 2020 (arXiv:1909.09157), section 4.

    As the body does not adapt, the support set passes it once, however many inner steps there are,
    and ``recompute`` has nothing to spare. With ``order=1`` the inner gradients are constants,
    though they are functions of the body too.

    All arguments are those of :class:`bench.learning.gradient_based.GradientBased`. The network
    must be ``head(features(x))``.
    """

    label = "ANIL"
    recordable = True
    search = {"inner_lr": ("log", 1e-2, 3.0)}

    def configure_parameters(self) -> None:
        """Refuses a network without a head that adapts.

        Raises:
            BenchError: says what it needs.
        """
        super().configure_parameters()
        features_of(self.net)
        head = head_of(self.net)
        if not self.adapting():
            raise BenchError(f"ANIL adapts the head, which {type(self.net).__name__} does not")
        self.forward_head = TaskForward(head, vectorised=self.hparams["engine"] != "loop")

    @property
    def recomputes(self) -> bool:
        """False: what would be computed again is the head alone."""
        return False

    def adapting(self) -> dict[str, nn.Parameter]:
        """The head's parameters, by name."""
        return {n: p for n, p in super().adapting().items() if n.startswith("head.")}

    def adapted(self, episode: Episode, steps: int, order: int) -> Iterator[Fast]:
        """The heads of every task after 0, 1, ..., ``steps`` steps on its support set."""
        with torch.set_grad_enabled(order == 2):
            rows = self.embed(episode.support_x, episode.support_w)
        return self.descend(self.start(episode), episode._replace(support_x=rows), steps, order)

    def support_outputs(self, fast: Fast, episode: Episode) -> Tensor:
        """Outputs of each task's head for its embedded rows, ``[tasks, support, outputs]``."""
        heads = {n.removeprefix("head."): v for n, v in fast.items()}
        return self.within_ways(self.forward_head(heads, episode.support_x), episode)
