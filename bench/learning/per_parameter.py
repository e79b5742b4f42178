"""What is learned for each parameter that adapts, such as a learning rate of its own."""

from collections.abc import Mapping

from torch import Tensor, nn


class PerParameter(nn.ParameterDict):
    """A learned tensor for each name of a parameter, ``rates["features.0.weight"]``.

    Args:
        tensors: name to what it starts at.

    Attributes:
        names: those of the parameters.
    """

    recordable = True

    def __init__(self, tensors: Mapping[str, Tensor]):
        super().__init__({_attribute(n): nn.Parameter(v) for n, v in tensors.items()})
        self.names = list(tensors)

    def __getitem__(self, name: str) -> Tensor:
        """The tensor of a parameter."""
        return super().__getitem__(_attribute(name))


def _attribute(name: str) -> str:
    """A name without dots, which torch does not take."""
    return name.replace(".", ":")
