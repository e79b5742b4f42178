"""This suite with ``engine="loop"``: one task after the other, as plain PyTorch does it."""

from functools import partial

from bench.checks.speed.contestants import maml_bench

ORDERS = (1, 2)
package = "torch"
IMPORTS = ("bench.algorithms.maml",)
WORKLOADS = ()  # for exactness alone: of its time the plain loop tells
build = partial(maml_bench.build, engine="loop")
