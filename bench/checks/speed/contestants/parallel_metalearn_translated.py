"""parallel-metalearn with the layers that its ``ModelTranslator`` puts in the place of torch's."""

from bench.checks.speed.contestants import parallel_metalearn

ORDERS = (1, 2)
package = "metalearn"
WORKLOADS = ()  # for exactness alone


def build(workload, order, dtype):
    """See :mod:`bench.checks.speed.contestants`."""
    from metalearn.nn_models.pytorch2metalearn import ModelTranslator

    translate = ModelTranslator.convert_to_functional
    return parallel_metalearn.build(workload, order, dtype, translate=translate)
