"""What the PyTorch contestants share: the network, the tensors, the loss and Adam."""

from collections.abc import Callable

from bench.checks.speed.workloads import Workload


def parts(workload: Workload, dtype: str) -> tuple:
    """The network with the workload's weights, its batch, and the mean loss."""
    import torch
    from torch.nn import functional as F

    net = workload.network().to(getattr(torch, dtype))
    weights, named = workload.weights(dtype), dict(net.named_parameters())
    assert weights.keys() == named.keys()
    for name, p in named.items():
        p.data = torch.from_numpy(weights[name])

    def loss(outputs, y):
        if workload.kind == "classification":
            return F.cross_entropy(outputs, y)
        return F.binary_cross_entropy_with_logits(outputs.squeeze(-1), y)

    batch = [torch.from_numpy(v).to(workload.device) for v in workload.batch(dtype)]
    return net.to(workload.device), batch, loss


def functions(net, backward: Callable[[], None]) -> tuple[Callable, Callable]:
    """Gradient and iteration from a function that leaves the meta-gradient in ``.grad``."""
    import torch

    from bench.base import gpu_search

    gpu_search.look_once()
    named = dict(net.named_parameters())  # what an optimiser has, whatever becomes of the network
    adam = torch.optim.Adam(named.values(), lr=1e-3, fused=True)

    def gradient():
        adam.zero_grad()
        backward()
        return arrays(named)

    def iteration():
        adam.zero_grad()
        backward()
        adam.step()

    return gradient, iteration


def arrays(named) -> dict:
    """The gradients of parameters, by name.

    Raises:
        RuntimeError: if one of them has none.
    """
    for name, p in named.items():
        if p.grad is None:
            raise RuntimeError(f"it leaves no gradient of {name}")
    return {n: p.grad.cpu().numpy().copy() for n, p in named.items()}
