"""When memory ran out: which settings would need less, and which of them fit."""

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
        meaning: what it comes to, in words.
        same_results: whether the results stay as they are.
    """

    part: Literal["learner", "data"]
    name: str
    value: Any
    meaning: str
    same_results: bool

    def flag(self, experiment: Experiment) -> str:
        """As ``--set`` takes it; what changes a result, for this algorithm alone."""
        text = f"{self.name}={self.value}"
        if self.part == "learner" and not self.same_results:
            return f"{experiment.algorithm}.{text}"
        return text

    def apply(self, experiment: Experiment) -> Experiment:
        """The experiment with it."""
        arguments = getattr(experiment, self.part) | {self.name: self.value}
        return dataclasses.replace(experiment, **{self.part: arguments})


def options(experiment: Experiment) -> list[Option]:
    """What would need less, from what the experiment has: those with the same results first."""
    learner, tasks = experiment.learner_arguments, experiment.data_arguments["tasks_per_batch"]
    second = learner.get("order") == 2 and experiment.iterations > 0  # only training has a graph
    found = []
    if second and not learner["recompute"] and learner["inner_steps"] > 1:
        meaning = "memory for one inner step, each computed twice"
        found.append(Option("learner", "recompute", True, meaning, same_results=True))
    if learner.get("engine") not in ("loop", None):
        meaning = "memory for one task at a time"
        found.append(Option("learner", "engine", "loop", meaning, same_results=True))
    for fewer in dict.fromkeys((tasks // 2, 1)):
        if 0 < fewer < tasks:
            meaning = f"instead of {tasks}"
            found.append(Option("data", "tasks_per_batch", fewer, meaning, same_results=False))
    if second:
        meaning = "memory for one inner step, no second order"
        found.append(Option("learner", "order", 1, meaning, same_results=False))
    return found


def list_options(experiment: Experiment) -> str:
    """A sentence of all that would need less; nothing is tried."""
    same, other = (
        ", or ".join(
            f"{option.flag(experiment)} ({option.meaning})"
            for option in options(experiment)
            if option.same_results == same_results
        )
        for same_results in (True, False)
    )
    return _sentence(same, other)


def find_fitting(experiment: Experiment, machine: Machine) -> str:
    """A sentence of what fits on this machine.

    One meta-iteration of each is tried, in a process of its own.
    """
    found = options(experiment)
    same, other = (
        _first_that_fits(experiment, [o for o in found if o.same_results == same_results], machine)
        for same_results in (True, False)
    )
    if found and not same and not other:
        tried = ", ".join(option.flag(experiment) for option in found)
        return f"{tried} were tried, and need too much as well: try a smaller model"
    return _sentence(same, other)


def _first_that_fits(experiment: Experiment, found: Iterable[Option], machine: Machine) -> str:
    from bench.running import probe

    for option in found:
        try:
            mib = probe.peak_memory(machine.build(option.apply(experiment)))
        except BenchError:  # it ran out of memory too
            continue
        needs = "" if mib is None else f": a meta-iteration needs {mib:,.0f} MiB"
        return f"{option.flag(experiment)} ({option.meaning}), which fits here{needs}"
    return ""


def _sentence(same: str, other: str) -> str:
    hints = []
    if same:
        hints.append(f"for the same results --set {same}")
    if other:
        hints.append(f"for another experiment --set {other}")
    return "; ".join(hints) or "try a smaller model"
