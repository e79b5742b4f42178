"""This suite with ``engine="recorded"``, as it chooses for long runs."""

from functools import partial

from bench.checks.speed.contestants import maml_bench

ORDERS = (1, 2)
package = "torch"
IMPORTS = ("bench.algorithms.maml",)
build = partial(maml_bench.build, engine="recorded")
