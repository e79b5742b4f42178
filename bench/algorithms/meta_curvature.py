"""Meta-Curvature: inner gradients are transformed by learned matrices along their axes."""

import torch
from torch import Tensor

from bench.learning.gradient_based import GradientBased
from bench.learning.inner_loop import Fast
from bench.learning.per_parameter import PerParameter


class MetaCurvature(GradientBased):
    """MAML whose inner gradients pass a learned linear map before each step.

    The gradient of a convolution's weights ``[outputs, inputs, height, width]`` is multiplied by
    learned square matrices along three axes, ``M_o`` along the outputs, ``M_i`` along the inputs
    and ``M_f`` along the places of the filter, taken together:
    ``theta <- theta - alpha * MC(grad)`` with ``MC(G) = G x_f M_f x_i M_i x_o M_o``. Park and
    Oliva, "Meta-Curvature", NeurIPS 2019 (arXiv:1902.03356), section 3. All start as the identity,
    where it is MAML. The matrix of a linear layer has no ``M_f``. With ``order=1`` the inner
    gradients are constants, and the matrices learn all the same.

    Parameters of one axis (biases, batch norm) have one learned factor for each number, as in the
    implementations that are in use, and not a matrix.

    All arguments are those of :class:`bench.learning.gradient_based.GradientBased`. Not for
    students: the matrix of an embedding would be as wide as there are items.
    """

    label = "Meta-Curvature"
    kinds = ("classification", "classification_errors", "regression")
    recordable = True

    def configure_parameters(self) -> None:
        """Makes the matrices, each the identity."""
        super().configure_parameters()
        self.curvature = PerParameter(
            {
                f"{n}.{axis}": torch.eye(size, dtype=p.dtype) if p.dim() > 1 else torch.ones_like(p)
                for n, p in self.adapting().items()
                for axis, size in enumerate(_axes(p).shape)
            }
        )

    def update(self, fast: Fast, gradients: Fast, step: int) -> Fast:
        """Gradient descent along the transformed gradients."""
        return super().update(fast, {n: self.transform(n, g) for n, g in gradients.items()}, step)

    def transform(self, name: str, gradient: Tensor) -> Tensor:
        """A parameter's gradient ``[tasks, ...]``, multiplied along each axis by its matrix."""
        found = gradient.flatten(3) if gradient.dim() > 4 else gradient
        for axis in range(1, found.dim()):
            learned = self.curvature[f"{name}.{axis - 1}"]
            if learned.dim() == 1:
                found = found * learned
            else:
                found = torch.tensordot(found, learned, ([axis], [1])).movedim(-1, axis)
        return found.reshape(gradient.shape)


def _axes(p: Tensor) -> Tensor:
    """A parameter with the places of a filter as one axis, ``[outputs, inputs, places]``."""
    return p.flatten(2) if p.dim() > 3 else p
