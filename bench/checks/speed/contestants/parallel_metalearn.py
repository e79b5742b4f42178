"""parallel-metalearn's MAML (2026) with its default engine: ``vmap`` over tasks."""

from bench.checks.speed import torch_parts

ORDERS = (1, 2)
package = "metalearn"


def build(workload, order, dtype, backend="vmap", translate=lambda net: net):
    """See :mod:`bench.checks.speed.contestants`.

    Args:
        workload: what.
        order: 1 or 2.
        dtype: of all numbers.
        backend: the library's engine.
        translate: what makes a network fit for it.
    """
    import torch
    from metalearn.algorithms import MAML
    from metalearn.inner_optimizers import InnerSGD
    from metalearn.loss.base import BaseLoss
    from metalearn.model_wrappers import MAML_Model
    from torch import nn

    torch.set_default_dtype(getattr(torch, dtype))  # of the rate, which it makes a tensor of
    net, batch, loss_of = torch_parts.parts(workload, dtype)
    names = [n for n, _ in net.named_parameters()]

    class Backbone(nn.Module):
        """Takes what the library passes on beside the inputs."""

        def __init__(self):
            super().__init__()
            self.net = translate(net)

        def forward(self, x, **kwargs):
            return self.net(x)

    class Head(nn.Module):
        """The network has its last layer already."""

        def forward(self, x, **kwargs):
            return x

    class Loss(BaseLoss):
        """The workload's, and no metric."""

        def forward(self, out_dict, targets, model_states=None, **kwargs):
            loss = loss_of(out_dict["logits"], targets)
            return loss, loss.detach()

    model = MAML_Model(backbone=Backbone(), head=Head())
    rate = InnerSGD(
        model.get_fast_weights(),
        first_order=order == 1,
        inner_lr=workload.inner_lr,
        learn_lr=False,
    )
    algorithm = MAML(
        model=model,
        optimizer=torch.optim.Adam(model.parameters(), lr=1e-3),
        inner_optimizer=rate,
        support_loss_fn=Loss(),
        inner_steps=workload.inner_steps,
        chunk_size=workload.tasks,
        device=torch.device(workload.device),
        backend=backend,
    )

    # in their order: translated layers rename them
    named = dict(zip(names, model.backbone.net.parameters(), strict=True))

    def iteration():
        algorithm.step(iter([batch]))

    def gradient():
        iteration()  # which leaves the gradient of the weights from before its Adam step
        return torch_parts.arrays(named)

    return gradient, iteration
