"""UNICORN-MAML: a head that treats all classes alike until it has seen the support set."""

from typing import Literal

from bench.learning.gradient_based import GradientBased


class UnicornMAML(GradientBased):
    """MAML whose head starts each task with the same row for every class.

    Ye and Chao, "How to Train Your MAML to Excel in Few-Shot Classification", ICLR 2022
    (arXiv:2106.16245), section 5: whatever order the classes are numbered in, the prediction is the
    same, which MAML's is not.

    There the row is a learned vector ``w``. It cannot be told from zeros: with ``w`` in every row
    the logits of a row of features ``f`` are ``f . w + f . (w_c - w)``, the first term is the same
    for all classes, and softmax does not see it, nor any gradient of its cross-entropy, before or
    after any number of inner steps. So ``w`` has no meta-gradient, and here the head starts at
    zero, as :class:`bench.algorithms.maml.MAML` with ``head="zero"``.

    What differs from the authors' code: no temperature, no training of the body beforehand, and
    second order too. At the first step, the head being alike for all classes, no gradient reaches
    the body: it takes two inner steps or more to move it.

    All other arguments are those of :class:`bench.learning.gradient_based.GradientBased`.

    Args:
        inner_lr: inner learning rate, 0.05 to 0.1 in the paper.
        inner_steps: gradient steps on the support set while training, 15 to 20 in the paper.
        head: ``"zero"``.
        **kwargs: see :class:`bench.learning.gradient_based.GradientBased`.
    """

    label = "UNICORN-MAML"
    kinds = ("classification", "classification_errors")
    recordable = True
    search = {"inner_steps": ("integer", 3, 8)}

    def __init__(
        self,
        inner_lr: float = 0.1,
        inner_steps: int = 5,
        head: Literal["zero"] = "zero",
        **kwargs,
    ):
        super().__init__(inner_lr=inner_lr, inner_steps=inner_steps, head=head, **kwargs)
