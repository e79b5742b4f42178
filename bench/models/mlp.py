"""A multilayer perceptron on vectors, or on items through an embedding."""

from collections.abc import Sequence

from torch import Tensor, nn

from bench.episode import TaskSpec


class MLP(nn.Module):
    """Linear layers with ReLU between them; an item number is embedded first.

    With ``hidden=(40, 40)`` the sinusoid network of Finn et al. 2017, section 5.1.

    Args:
        spec: tasks with inputs of any shape (flattened), or item numbers.
        hidden: widths of the hidden layers.
        embedding: width of the item embedding, where inputs are item numbers.
    """

    def __init__(self, spec: TaskSpec, hidden: Sequence[int] = (40, 40), embedding: int = 32):
        super().__init__()
        if spec.items:
            layers, width = [nn.Embedding(spec.items, embedding)], embedding
        else:
            layers, width = [nn.Flatten()], 1
            for n in spec.input_shape:
                width *= n
        for n in hidden:
            layers += [nn.Linear(width, n), nn.ReLU()]
            width = n
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(width, spec.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[rows, *input_shape]`` to ``[rows, outputs]``."""
        return self.head(self.features(x))
