"""Reptile (Nichol et al. 2018, arXiv:1803.02999): the start moves to where Adam leads each task."""

import torch

from bench.learning.gradient_based import GradientBased


class MyReptile(GradientBased):
    def __init__(self, order: None = None, inner_lr: float = 1e-3, outer_lr: float = 1.0, **kwargs):
        super().__init__(order=order, inner_lr=inner_lr, outer_lr=outer_lr, **kwargs)

    def update(self, fast, gradients, step):
        before = self.second if step else {}  # Adam's second moments start anew in each task
        self.second = {n: 1e-3 * g**2 + 0.999 * before.get(n, 0) for n, g in gradients.items()}
        size = {n: (v / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8 for n, v in self.second.items()}
        return {n: v - self.rate(n, step) * gradients[n] / size[n] for n, v in fast.items()}

    def meta_gradient(self, episode, parameters):
        x, y = (torch.cat(rows, 1) for rows in zip(episode[:2], episode[2:4]))
        episode = episode._replace(support_x=x, support_y=y)
        *_, end = self.adapted(episode, self.hparams["inner_steps"], order=0)
        moved = [(p - end[n.removeprefix("net.")]).sum(0) for n, p in parameters.items()]
        return [v.detach() for v in (self.support_loss(end, episode, 0).sum(), *moved)]

    def optimizer(self, parameters):
        return torch.optim.SGD(parameters, lr=self.hparams["outer_lr"])
