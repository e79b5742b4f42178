"""A multilayer perceptron on vectors, or on items through an embedding."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.base import arguments
from bench.tasks.episode import TaskSpec
from bench.tasks.questions import FEATURES, ITEM


class MLP(nn.Module):
    """Linear layers with ReLU between them; of a question to a student, the item is embedded first.

    With ``hidden=(40, 40)`` the sinusoid network of Finn et al. 2017, section 5.1.

    Args:
        spec: tasks with inputs of any shape (flattened), or questions to students.
        hidden: widths of the hidden layers.
        embedding: width of the item embedding, beside which the item's features are put.
    """

    recordable = chain = True

    def __init__(self, spec: TaskSpec, hidden: Sequence[int] = (40, 40), embedding: int = 32):
        super().__init__()
        arguments.require_at_least(1, hidden=hidden, embedding=embedding)
        if spec.items:
            layers = [ItemEmbedding(spec, embedding)]
            width = embedding + spec.input_shape[0] - FEATURES
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


class ItemEmbedding(nn.Embedding):
    """The embedding of the item of each question, followed by the item's features.

    Args:
        spec: tasks whose inputs are questions to students.
        width: of the embedding.
    """

    recordable = True

    def __init__(self, spec: TaskSpec, width: int):
        super().__init__(spec.items, width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[rows, columns]`` to ``[rows, width + features]``."""
        embedded = super().forward(x[..., ITEM].long())
        if x.shape[-1] == FEATURES:
            return embedded
        return torch.cat([embedded, x[..., FEATURES:]], -1)
