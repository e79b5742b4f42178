"""CAVIA: a few context parameters adapt, and the network is shared by all tasks."""

from typing import Literal

from torch import nn

from bench.base.errors import BenchError
from bench.learning.gradient_based import GradientBased
from bench.learning.inner_loop import Fast
from bench.tasks.episode import Episode


class CAVIA(GradientBased):
    """Fast context adaptation: inner steps move context parameters, which start at zero.

    ``c <- c - alpha * grad_c L_support(theta, c)`` from ``c = 0``; the outer loop learns ``theta``,
    all the rest, by the query's loss at the adapted ``c``: Zintgraf, Shiarlis, Kurin, Hofmann and
    Whiteson, "Fast Context Adaptation via Meta-Learning", ICML 2019 (arXiv:1810.03642), section 3.
    With ``order=1`` the inner gradients are constants; the paper reports both.

    What differs from the authors' code: no clipping of the gradient of single tasks, and see
    :class:`bench.models.film.FiLM` for the network. With ``model="irt"`` the context is a student's
    ability.

    All other arguments are those of :class:`bench.learning.gradient_based.GradientBased`.

    Args:
        model: a network that says in ``adapts`` what its context parameters are.
        inner_lr: inner learning rate of the context, 1 in the paper: the outer loop scales what the
            context does, so that it matters little.
        inner_steps: gradient steps on the support set while training, 2 in the paper for images and
            1 for sinusoids.
        head: ``"learned"``: it is of the shared part.
        **kwargs: see :class:`bench.learning.gradient_based.GradientBased`.
    """

    label = "CAVIA"
    recordable = True
    search = {"inner_lr": ("log", 0.1, 10.0), "inner_steps": ("integer", 1, 3)}

    def __init__(
        self,
        model: str | nn.Module | None = "film",
        inner_lr: float = 1.0,
        inner_steps: int = 2,
        head: Literal["learned"] = "learned",
        **kwargs,
    ):
        super().__init__(
            model=model, inner_lr=inner_lr, inner_steps=inner_steps, head=head, **kwargs
        )

    def configure_parameters(self) -> None:
        """Freezes the context, of which no start is learned.

        Raises:
            BenchError: if the network does not say what it is.
        """
        super().configure_parameters()
        if getattr(self.net, "adapts", None) is None:
            raise BenchError(
                "CAVIA needs a network with .adapts, the names of its context parameters, such as "
                f"model='film'; {type(self.net).__name__} has none"
            )
        self.context = list(super().adapting())
        for p in self.adapting().values():
            p.requires_grad_(False)

    def adapting(self) -> dict[str, nn.Parameter]:
        """The context parameters, by name."""
        return {n: self.net.get_parameter(n) for n in self.context}

    def start(self, episode: Episode) -> Fast:
        """The context parameters at zero, name to ``[tasks, ...]``."""
        tasks = len(episode.support_x)
        return {n: p.new_zeros(tasks, *p.shape) for n, p in self.adapting().items()}
