"""What an algorithm is called in tables and plots, and what it is beside the others."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from bench.base import registry
from bench.base.declarations import Declaration
from bench.base.errors import BenchError

ORDERS = {1: "first order", 2: "second order"}


class Label(NamedTuple):
    """An algorithm in words.

    Attributes:
        name: without its order.
        order: 1 or 2 for one that learns through gradient steps, otherwise None.
        role: ``"floor"`` and ``"ceiling"``: what shares of a way are measured between;
            ``"baseline"``: what a method has to beat at least; None: one of those compared.
    """

    name: str
    order: int | None = None
    role: str | None = None

    def __str__(self) -> str:
        return f"{self.name}, {ORDERS[self.order]}" if self.order in ORDERS else self.name

    @property
    def fields(self) -> dict[str, Any]:
        """What a record says of its ``algorithm``."""
        return {"label": self.name, "order": self.order, "role": self.role}

    @property
    def rank(self) -> tuple:
        """Where it stands in a table: ceilings, methods (second order before first), floors."""
        place = {"ceiling": 0, None: 1, "baseline": 2, "floor": 2}[self.role]
        return place, self.order is None, self.name, -(self.order or 0)


def label(algorithm: str, learner: Mapping[str, Any]) -> Label:
    """The label of a run.

    Args:
        algorithm: its name.
        learner: its arguments.
    """
    try:
        declared = registry.declaration("algorithms", algorithm)
    except BenchError:  # an algorithm of another version, or of somebody else
        declared = Declaration({}, {}, {})
    name = declared.own.get("label") or algorithm.replace("_", " ")
    if (learner.get("model_options") or {}).get("weights"):
        name = f"{name} (pretrained)"
    if role := declared.attributes.get("role"):
        return Label(name, None, role)
    default = declared.arguments["order"].default if "order" in declared.arguments else None
    order = learner.get("order", default)
    return Label(name, order if type(order) is int and order in ORDERS else None)


def of_record(record: Mapping[str, Any]) -> Label:
    """What a record says of its algorithm; of an older one, what its class says today."""
    if stored := record.get("algorithm"):
        return Label(stored["label"], stored["order"], stored["role"])
    experiment = record["experiment"]
    return label(experiment["algorithm"], experiment["learner"])
