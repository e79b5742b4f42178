"""higher's inner-loop context (Grefenstette et al. 2019, arXiv:1910.01727)."""

from bench.checks.speed import torch_parts

ORDERS = (2,)
package = "higher"


def build(workload, order, dtype):
    """See :mod:`bench.checks.speed.contestants`."""
    import torch
    from higher import innerloop_ctx

    net, batch, loss_of = torch_parts.parts(workload, dtype)
    inner = torch.optim.SGD(net.parameters(), lr=workload.inner_lr)

    def backward():
        for sx, sy, qx, qy in zip(*batch):
            with innerloop_ctx(net, inner, copy_initial_weights=False) as (fast, optimizer):
                for _ in range(workload.inner_steps):
                    optimizer.step(loss_of(fast(sx), sy))
                (loss_of(fast(qx), qy) / workload.tasks).backward()

    return torch_parts.functions(net, backward)
