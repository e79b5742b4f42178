"""TorchOpt's differentiable SGD (Ren et al. 2022, arXiv:2211.06934)."""

from bench.checks.speed import torch_parts

ORDERS = (2,)
package = "torchopt"


def build(workload, order, dtype):
    """See :mod:`bench.checks.speed.contestants`."""
    import torchopt

    net, batch, loss_of = torch_parts.parts(workload, dtype)
    inner = torchopt.MetaSGD(net, lr=workload.inner_lr)
    named = dict(net.named_parameters())

    def backward():
        start = torchopt.extract_state_dict(net, by="reference")
        inner_start = torchopt.extract_state_dict(inner, by="reference")
        for sx, sy, qx, qy in zip(*batch):
            for _ in range(workload.inner_steps):
                inner.step(loss_of(net(sx), sy))
            (loss_of(net(qx), qy) / workload.tasks).backward()
            torchopt.recover_state_dict(net, start)
            torchopt.recover_state_dict(inner, inner_start)

    assert all(p is named[n] for n, p in net.named_parameters())
    return torch_parts.functions(net, backward)
