"""iteryne's MAML (2026): functional calls, one task after the other."""

from bench.checks.speed import torch_parts

ORDERS = (1, 2)
package = "iteryne"


def build(workload, order, dtype):
    """See :mod:`bench.checks.speed.contestants`."""
    from iteryne import MAML

    net, batch, loss_of = torch_parts.parts(workload, dtype)
    maml = MAML(
        net,
        inner_lr=workload.inner_lr,
        inner_steps=workload.inner_steps,
        first_order=order == 1,
    )

    def backward():
        for sx, sy, qx, qy in zip(*batch):
            learner = maml.clone().adapt_on(loss_of, sx, sy)
            (loss_of(learner(qx), qy) / workload.tasks).backward()

    return torch_parts.functions(net, backward)
