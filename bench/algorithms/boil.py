"""BOIL: everything but the head adapts."""

from typing import Literal

from torch import nn

from bench.learning.gradient_based import GradientBased
from bench.learning.networks import head_of


class BOIL(GradientBased):
    """Body only update in the inner loop: MAML whose inner steps leave the head as it is.

    ``b' <- b - alpha * grad_b L_support(b, h)``; the outer loop learns the body ``b`` and the head
    ``h``: Oh, Yoo, Kim and Yun, "BOIL: Towards Representation Change for Few-shot Learning", ICLR
    2021 (arXiv:2008.08882), section 3, where the head's inner learning rate is 0.

    All other arguments are those of :class:`bench.learning.gradient_based.GradientBased`.

    Args:
        inner_lr: inner learning rate of the body; the authors' code has 0.5, of the mean loss too.
        inner_steps: gradient steps on the support set while training: one in the paper.
        head: ``"learned"``: a head that started anew and never moved would know nothing.
        **kwargs: see :class:`bench.learning.gradient_based.GradientBased`.
    """

    label = "BOIL"
    recordable = True
    search = {"inner_lr": ("log", 3e-2, 2.0)}

    def __init__(
        self,
        inner_lr: float = 0.5,
        inner_steps: int = 1,
        head: Literal["learned"] = "learned",
        **kwargs,
    ):
        super().__init__(inner_lr=inner_lr, inner_steps=inner_steps, head=head, **kwargs)

    def configure_parameters(self) -> None:
        """Refuses a network without a head.

        Raises:
            BenchError: says what it needs.
        """
        super().configure_parameters()
        head_of(self.net)

    def adapting(self) -> dict[str, nn.Parameter]:
        """The parameters of all but the head, by name."""
        return {n: p for n, p in super().adapting().items() if not n.startswith("head.")}
