"""learn2learn's MAML (Arnold et al. 2020, arXiv:2008.12284)."""

from bench.checks.speed import torch_parts

ORDERS = (1, 2)
package = "learn2learn"


def build(workload, order, dtype):
    """See :mod:`bench.checks.speed.contestants`."""
    from learn2learn.algorithms import MAML

    net, batch, loss_of = torch_parts.parts(workload, dtype)
    maml = MAML(net, lr=workload.inner_lr, first_order=order == 1)

    def backward():
        for sx, sy, qx, qy in zip(*batch):
            learner = maml.clone()
            for _ in range(workload.inner_steps):
                learner.adapt(loss_of(learner(sx), sy))
            (loss_of(learner(qx), qy) / workload.tasks).backward()

    return torch_parts.functions(net, backward)
