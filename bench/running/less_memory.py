"""When memory ran out: what would need less, and what of it fits."""

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from bench.base.errors import BenchError
from bench.running.experiment import Experiment
from bench.running.machine import Machine


class Option(NamedTuple):
    """A setting that needs less memory.

    Attributes:
        part: whose argument it is.
        name: of the argument.
        value: what to set it to.
        means: what it comes to, in words.
        same: whether the results stay as they are.
    """

    part: Literal["learner", "data"]
    name: str
    value: Any
    means: str
    same: bool

    def said(self, experiment: Experiment) -> str:
        """As ``--set`` takes it; what changes a result, for this algorithm alone."""
        own = f"{experiment.algorithm}." if self.part == "learner" and not self.same else ""
        return f"{own}{self.name}={self.value}"

    def of(self, experiment: Experiment) -> Experiment:
        """The experiment with it."""
        arguments = getattr(experiment, self.part) | {self.name: self.value}
        return dataclasses.replace(experiment, **{self.part: arguments})


def options(experiment: Experiment) -> list[Option]:
    """What would need less, from what the experiment has: those with the same results first."""
    learner, tasks = experiment.learner_arguments, experiment.data_arguments["tasks_per_batch"]
    second = learner.get("order") == 2 and experiment.iterations > 0  # only training has a graph
    found = []
    if second and not learner["recompute"] and learner["inner_steps"] > 1:
        means = "memory for one inner step, each computed twice"
        found.append(Option("learner", "recompute", True, means, same=True))
    if learner.get("engine") not in ("loop", None):
        means = "memory for one task at a time"
        found.append(Option("learner", "engine", "loop", means, same=True))
    for fewer in dict.fromkeys((tasks // 2, 1)):
        if 0 < fewer < tasks:
            means = f"instead of {tasks}"
            found.append(Option("data", "tasks_per_batch", fewer, means, same=False))
    if second:
        means = "memory for one inner step, no second order"
        found.append(Option("learner", "order", 1, means, same=False))
    return found


def listed(experiment: Experiment) -> str:
    """All that would need less; nothing is tried."""

    def words(same: bool) -> str:
        own = [o for o in options(experiment) if o.same == same]
        return ", or ".join(f"{o.said(experiment)} ({o.means})" for o in own)

    return _sentence(words(True), words(False))


def fitting(experiment: Experiment, machine: Machine) -> str:
    """What fits on this machine: one meta-iteration of each is tried, in a process of its own."""
    found = options(experiment)
    same, other = (
        _first_that_fits(experiment, [o for o in found if o.same == same], machine)
        for same in (True, False)
    )
    if found and not same and not other:
        tried = ", ".join(option.said(experiment) for option in found)
        return f"{tried} were tried, and need too much as well: try a smaller model"
    return _sentence(same, other)


def _first_that_fits(experiment: Experiment, found: Iterable[Option], machine: Machine) -> str:
    from bench.running import probe

    for option in found:
        try:
            mib = probe.peak_memory(machine.build(option.of(experiment)))
        except BenchError:  # it ran out of memory too
            continue
        needs = "" if mib is None else f": a meta-iteration needs {mib:,.0f} MiB"
        return f"{option.said(experiment)} ({option.means}), which fits here{needs}"
    return ""


def _sentence(same: str, other: str) -> str:
    hints = [f"for the same results --set {same}"] * bool(same)
    hints += [f"for another experiment --set {other}"] * bool(other)
    return "; ".join(hints) or "try a smaller model"
