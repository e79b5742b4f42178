"""Proto-MAML under a name of its own."""

from typing import Literal

from bench.learning.gradient_based import GradientBased


class ProtoMAML(GradientBased):
    """MAML whose head starts each task as a prototypical network's.

    ``w_c = 2 mean_c`` and ``b_c = -|mean_c|^2`` of the embedded support rows of class c, and then
    inner steps of the whole network: Triantafillou et al., "Meta-Dataset", ICLR 2020
    (arXiv:1903.03096), section 3.1. The same as :class:`bench.algorithms.maml.MAML` with
    ``head="prototypes"``; see :func:`bench.learning.heads.prototypes`.

    The meta-gradient passes through the means in both orders; with ``order=1`` the inner gradients
    are constants, which is the one that the paper reports.

    All other arguments are those of :class:`bench.learning.gradient_based.GradientBased`.

    Args:
        head: ``"prototypes"``.
        **kwargs: see :class:`bench.learning.gradient_based.GradientBased`.
    """

    label = "Proto-MAML"
    kinds = ("classification", "classification_errors")
    recordable = True

    def __init__(self, head: Literal["prototypes"] = "prototypes", **kwargs):
        super().__init__(head=head, **kwargs)
