"""What the PyTorch contestants share: the network, the tensors, the loss and Adam."""

from collections.abc import Callable

from bench.checks.speed.workloads import Workload


def parts(workload: Workload, dtype: str) -> tuple:
    """The suite's own network with the workload's weights, its batch, and the mean loss."""
    import torch
    from torch.nn import functional as F

    from bench.models.conv4 import Conv4
    from bench.models.mlp import MLP
    from bench.tasks.episode import TaskSpec

    if workload.images:
        spec = TaskSpec("classification", workload.input_shape, workload.outputs)
        how = "max_pool" if workload.pool else "stride"
        net = Conv4(spec, workload.widths[0], how)
    else:
        spec = TaskSpec("answers", workload.input_shape, workload.outputs)
        net = MLP(spec, workload.widths)
    net = net.to(getattr(torch, dtype))
    weights = {n: torch.from_numpy(v) for n, v in workload.weights(dtype).items()}
    net.load_state_dict(weights)

    def loss(outputs, y):
        if workload.images:
            return F.cross_entropy(outputs, y)
        return F.binary_cross_entropy_with_logits(outputs.squeeze(-1), y)

    return net, [torch.from_numpy(v) for v in workload.batch(dtype)], loss


def functions(net, backward: Callable[[], None]) -> tuple[Callable, Callable]:
    """Gradient and iteration from a function that leaves the meta-gradient in ``.grad``."""
    import torch

    adam = torch.optim.Adam(net.parameters(), lr=1e-3)

    def gradient():
        adam.zero_grad()
        backward()
        return {n: p.grad.numpy().copy() for n, p in net.named_parameters()}

    def iteration():
        adam.zero_grad()
        backward()
        adam.step()

    return gradient, iteration
