"""This suite in one process whose threads share every kernel, not the tasks."""

from functools import partial

from bench.checks.speed.contestants import maml_bench

ORDERS = (1, 2)
package = "torch"
IMPORTS = ("bench.algorithms.maml",)
WORKLOADS = ("omniglot", "mini")  # where a meta-batch may be shared out
build = partial(maml_bench.build, most_processes=1)
