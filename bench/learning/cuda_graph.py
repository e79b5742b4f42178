"""The kernels of a meta-step on a GPU, launched together as one CUDA graph."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WARM_UP = 3  # calls before the recording, as torch's documentation has it: libraries load, and tune

Function = Callable[[list[Tensor], list[Tensor]], list[Tensor | None]]


class CudaGraph:
    """A function of tensors of fixed shapes whose kernels are recorded once and replayed.

    A meta-step of a small network is hundreds of kernels that take less time than launching them.
    The graph reads and writes tensors of its own: what is given is copied into them, and what comes
    out is copied from them, so that a result stays when the next call is made.

    Args:
        function: of the parameters and the fields of a meta-batch; gives tensors, or None.
        values: parameters, an example.
        batch: fields of a meta-batch, an example.
    """

    def __init__(self, function: Function, values: Sequence[Tensor], batch: Sequence[Tensor]):
        self.values, self.batch = [[v.clone() for v in given] for given in (values, batch)]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                function(self.values, self.batch)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.results = function(self.values, self.batch)

    def __call__(self, values: Sequence[Tensor], batch: Sequence[Tensor]) -> list[Tensor | None]:
        """What the function gives of these, which lie on the GPU."""
        for own, given in zip([*self.values, *self.batch], [*values, *batch], strict=True):
            own.copy_(given, non_blocking=True)
        self.graph.replay()
        return [None if r is None else r.clone() for r in self.results]
