"""This suite, with the engine it chooses for short runs."""

from bench.checks.speed import torch_parts

ORDERS = (1, 2)
package = "torch"
IMPORTS = ("bench.algorithms.maml",)
ENGINE = "batched"


def build(workload, order, dtype, engine=ENGINE, recompute=False, most_processes=None):
    """See :mod:`bench.checks.speed.contestants`."""
    net, learner, episode = parts(workload, order, dtype, engine, recompute)
    learner.meta_step.most_processes = most_processes
    return torch_parts.functions(net, lambda: learner.meta_step(episode).backward())


def parts(workload, order, dtype, engine=ENGINE, recompute=False):
    """The network, MAML of it, and the meta-batch."""
    from bench.algorithms.maml import MAML
    from bench.tasks.episode import Episode, TaskSpec

    net, batch, _ = torch_parts.parts(workload, dtype)
    learner = MAML(
        order=order,
        inner_lr=workload.inner_lr,
        inner_steps=workload.inner_steps,
        recompute=recompute,
        engine=engine,
        model=net,
        spec=TaskSpec(workload.kind, workload.input_shape, workload.outputs),
    )
    learner.configure_model()
    learner.to(workload.device)
    return net, learner, Episode(*batch)
