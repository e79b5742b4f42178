"""What a meta-iteration costs: times are averaged and compared on machines of one kind only."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bench.results import schema


class Machine(NamedTuple):
    """A kind of machine, as far as a record tells it."""

    device: str | None
    threads: int | str | None

    def __str__(self) -> str:
        threads = "" if self.threads is None else f"{self.threads} thread"
        words = threads if threads in ("", "1 thread") else f"{threads}s"
        return ", ".join(part for part in (self.device, words) if part)


class Cost(NamedTuple):
    """What a cell of the table costs.

    Attributes:
        measured_on: the kind of machine, in words; empty where nothing was measured.
        is_elsewhere: whether most of its data set was measured on another one.
        numbers: the fields of a record's ``cost``, averaged over the runs measured there.
    """

    measured_on: str
    is_elsewhere: bool
    numbers: dict[str, float]


def of_cells(members_of: Mapping[tuple, list[dict[str, Any]]]) -> dict[tuple, Cost]:
    """The cost of each cell, on the kind of machine that most cells of its data set were measured.

    A cell that was not measured there has what was measured elsewhere.

    Args:
        members_of: from :func:`bench.results.summary.cells`.
    """
    measured = {key: _by_machine(members) for key, members in members_of.items()}
    counts: dict[tuple, Counter] = {}
    for key, by_machine in measured.items():
        counts.setdefault(key[:2], Counter()).update(by_machine.keys())
    found = {}
    for key, by_machine in measured.items():
        if not by_machine:
            found[key] = Cost("", False, dict.fromkeys(schema.COST_FIELDS, np.nan))
            continue
        common = counts[key[:2]]
        usual = min(common, key=lambda machine: (-common[machine], str(machine)))
        own = Counter({machine: len(costs) for machine, costs in by_machine.items()})
        here = usual if usual in own else min(own, key=lambda m: (-own[m], str(m)))
        numbers = {name: _mean(by_machine[here], name) for name in schema.COST_FIELDS}
        found[key] = Cost(str(here), here != usual, numbers)
    return found


def machine(record: Mapping[str, Any]) -> Machine:
    """Where the cost of a record was measured: as it says, or where it was trained."""
    cost, provenance = record["cost"] or {}, record.get("provenance", {})
    return Machine(*(cost.get(n, provenance.get(n)) for n in Machine._fields))


def _by_machine(members: list[dict[str, Any]]) -> dict[Machine, list[dict[str, Any]]]:
    found: dict[Machine, list[dict[str, Any]]] = {}
    for member in members:
        if member["cost"]:
            found.setdefault(machine(member), []).append(member["cost"])
    return found


def _mean(costs: list[dict[str, Any]], name: str) -> float:
    values = [cost[name] for cost in costs if cost[name] is not None]
    return float(np.mean(values)) if values else np.nan
