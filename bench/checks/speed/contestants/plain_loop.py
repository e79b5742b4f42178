"""One task after the other with ``functional_call`` and ``torch.autograd.grad``: the reference."""

from bench.checks.speed import torch_parts

ORDERS = (1, 2)
package = "torch"


def build(workload, order, dtype):
    """See :mod:`bench.checks.speed.contestants`."""
    import torch
    from torch.func import functional_call

    net, batch, loss_of = torch_parts.parts(workload, dtype)
    named = dict(net.named_parameters())

    def loss():
        """Backward through one task's query at a time, so that one graph is alive."""
        for sx, sy, qx, qy in zip(*batch):
            fast = named
            for _ in range(workload.inner_steps):
                inner = loss_of(functional_call(net, fast, (sx,)), sy)
                gradients = torch.autograd.grad(inner, fast.values(), create_graph=order == 2)
                fast = {n: v - workload.inner_lr * g for (n, v), g in zip(fast.items(), gradients)}
            (loss_of(functional_call(net, fast, (qx,)), qy) / workload.tasks).backward()

    return torch_parts.functions(net, loss)
