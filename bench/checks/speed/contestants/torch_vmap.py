"""PyTorch's own example: ``vmap`` over tasks, ``torch.func.grad`` inside it.

As ``functorch/examples/maml_omniglot/maml-omniglot-transforms.py`` in its repository; first order
by detaching the inner gradients.
"""

from bench.checks.speed import torch_parts

ORDERS = (1, 2)
package = "torch"
WORKLOADS = ("student",)  # of speed: with its batch norm the meta-gradient is wrong


def build(workload, order, dtype):
    """See :mod:`bench.checks.speed.contestants`."""
    from torch.func import functional_call, grad, vmap

    net, batch, loss_of = torch_parts.parts(workload, dtype)
    buffers = dict(net.named_buffers())

    def loss(parameters, x, y):
        return loss_of(functional_call(net, (parameters, buffers), x), y)

    def loss_for_task(sx, sy, qx, qy):
        fast = dict(net.named_parameters())
        for _ in range(workload.inner_steps):
            gradients = grad(loss)(fast, sx, sy)
            if order == 1:
                gradients = {n: g.detach() for n, g in gradients.items()}
            fast = {n: v - workload.inner_lr * gradients[n] for n, v in fast.items()}
        return loss(fast, qx, qy)

    return torch_parts.functions(net, lambda: vmap(loss_for_task)(*batch).mean().backward())
