import copy

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


class PlainLoop:
    """MAML on a regression, one task and one step after the other, for any network.

    It knows nothing of the suite, and of no names: every step has a copy of the network in which
    tensors have taken the place of the parameters, object by object.
    """

    rate, steps = 0.3, 2

    def loss(self, net, episode, order):
        """The mean loss on the query, and its gradient for every parameter, in one vector."""
        adapting = self._adapting(net)
        losses = []
        for sx, sy, qx, qy in zip(*episode[:4]):
            values = [p * 1 for p in adapting]
            for _ in range(self.steps):
                start = values
                if order == 1:
                    values = [v.detach().requires_grad_() for v in values]
                gradients = self._gradients(net, adapting, values, sx, sy, order == 2)
                values = [v - self.rate * g for v, g in zip(start, gradients)]
            losses.append(self._error(self._copy(net, adapting, values), qx, qy))
        loss = torch.stack(losses).mean()
        gradients = torch.autograd.grad(loss, list(net.parameters()), materialize_grads=True)
        return loss.detach(), torch.cat([g.flatten() for g in gradients])

    def predictions(self, net, episode):
        """Outputs for the query after each step, ``[tasks, steps, query, outputs]``."""
        adapting = self._adapting(net)
        tasks = []
        for sx, sy, qx, _ in zip(*episode[:4]):
            values = [p.detach() for p in adapting]
            outputs = [self._copy(net, adapting, values)(qx).detach()]
            for _ in range(self.steps):
                values = [v.detach().requires_grad_() for v in values]
                gradients = self._gradients(net, adapting, values, sx, sy, False)
                values = [v - self.rate * g for v, g in zip(values, gradients)]
                outputs.append(self._copy(net, adapting, values)(qx).detach())
            tasks.append(torch.stack(outputs))
        return torch.stack(tasks)

    def _adapting(self, net):
        named = net.named_parameters(remove_duplicate=False)
        adapts = getattr(net, "adapts", None)
        found = [p for n, p in named if adapts is None or n.split(".")[0] in adapts]
        return list({id(p): p for p in found}.values())

    def _gradients(self, net, adapting, values, x, y, create_graph):
        with sdpa_kernel(SDPBackend.MATH):  # the only attention with second derivatives
            loss = self._error(self._copy(net, adapting, values), x, y)
        return torch.autograd.grad(loss, values, create_graph=create_graph, materialize_grads=True)

    def _copy(self, net, adapting, values):
        memo = {id(p): p for p in net.parameters()}
        return copy.deepcopy(net, memo | {id(p): v for p, v in zip(adapting, values)})

    def _error(self, net, x, y):
        return (net(x) - y).square().mean()


@pytest.fixture
def plain_loop():
    """The reference of meta-gradients and predictions, with its ``rate`` and ``steps``."""
    return PlainLoop()
