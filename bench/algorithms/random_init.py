"""A floor: fine-tuning from random weights."""

from bench.learning.gradient_based import GradientBased


class RandomInit(GradientBased):
    """Adapts as MAML does, from the random initial weights: nothing is meta-learned.

    Training leaves the weights as they are, so what the inner loop brings by itself is seen.

    Args:
        **kwargs: see :class:`bench.learning.gradient_based.GradientBased`.
    """

    label = "fine-tune from random init"
    role = "baseline"

    trains = False
    search = {"outer_lr": None}
