"""This suite with ``recompute=True``: inner steps are computed again instead of kept."""

from functools import partial

from bench.checks.speed.contestants import maml_bench

ORDERS = (2,)
package = "torch"
IMPORTS = ("bench.algorithms.maml",)
WORKLOADS = ("mini",)  # where memory is short
build = partial(maml_bench.build, recompute=True)
