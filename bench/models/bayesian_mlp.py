"""A perceptron on questions with a normal prior on its weights, beside the items' own easiness."""

from collections.abc import Sequence

from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.models.irt import ItemParameters
from bench.models.mlp import MLP
from bench.tasks.episode import TaskSpec

# Variances of the priors: of a weight, and of what is an item's own (embedding and easiness).
WEIGHT, OWN = 0.3, 1.0


class BayesianMLP(MLP):
    """Log-odds of a right answer: the item's easiness, plus a perceptron on its embedding.

    What is learned is normal around zero, but for the head's bias, the easiness of the average item
    (weight decay as a prior; MacKay, "A Practical Bayesian Framework for Backpropagation Networks",
    Neural Computation 4, 1992, equation 3). With few students it is hardly more than the easiness
    of the items. The layers adapt; what is an item's own is shared by all students.

    Args:
        spec: tasks whose inputs are questions to students.
        hidden: widths of the hidden layers.
        embedding: width of the item embedding.
    """

    recordable = True

    def __init__(self, spec: TaskSpec, hidden: Sequence[int] = (40, 40), embedding: int = 16):
        if not spec.items:
            raise BenchError("bayesian_mlp takes questions to students, not other inputs")
        super().__init__(spec, hidden, embedding)
        self.easiness = ItemParameters(spec, 1)
        nn.init.zeros_(self.head.weight)  # at first a student's answers say nothing of others'

    @property
    def adapts(self) -> tuple[str, ...]:
        """The parameters of the layers."""
        return tuple(n for n, _ in self.named_parameters() if not _is_own(n))

    def forward(self, x: Tensor) -> Tensor:
        """Maps questions ``[rows, columns]`` to log-odds ``[rows, 1]``."""
        return super().forward(x) + self.easiness(x)

    def minus_log_prior(self) -> Tensor:
        """Minus the log density of all that is learned, but for a constant."""
        return sum(
            p.square().sum() / (2 * (OWN if _is_own(name) else WEIGHT))
            for name, p in self.named_parameters()
            if name != "head.bias"
        )


def _is_own(name: str) -> bool:
    """Whether a parameter belongs to the items."""
    return name.startswith(("features.0.", "easiness."))
