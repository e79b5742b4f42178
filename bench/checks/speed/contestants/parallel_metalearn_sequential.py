"""parallel-metalearn with ``backend="sequential"``: one task after the other."""

from functools import partial

from bench.checks.speed.contestants import parallel_metalearn

ORDERS = (1, 2)
package = "metalearn"
WORKLOADS = ("omniglot", "mini")  # where the default engine's gradient is not right
build = partial(parallel_metalearn.build, backend="sequential")
