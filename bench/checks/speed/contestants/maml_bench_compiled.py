"""This suite with ``engine="compiled"``, as it chooses for long runs of small networks."""

from functools import partial

from bench.checks.speed.contestants import maml_bench

ORDERS = (1, 2)
package = "torch"
IMPORTS = ("bench.algorithms.maml",)
WORKLOADS = ("student",)  # of convolutions, compiling takes minutes and gains little
build = partial(maml_bench.build, engine="compiled")
