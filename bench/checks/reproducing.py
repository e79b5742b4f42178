"""Runs a record's experiment again and compares what came out."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from bench.base import registry
from bench.base.errors import BenchError
from bench.results import records
from bench.results.checking import without_headline
from bench.running import ranks
from bench.running.experiment import COMPUTED_BY, Experiment
from bench.running.machine import Machine
from bench.running.ranks import World

PLACES = ("bench", "commit", "torch", "lightning", "device", "devices", "threads")


class Compared(NamedTuple):
    """One part of two records.

    Attributes:
        what: in words.
        equal: whether it is the same to the last digit that records keep.
        largest: the largest difference between numbers; None where there are none to compare.
    """

    what: str
    equal: bool
    largest: float | None


def read_experiment(record: dict[str, Any], path: Path) -> Experiment:
    """The experiment that a record is of.

    Raises:
        BenchError: if this version would run something else.
    """
    fields = record["experiment"]
    names = ("suite", "dataset", "algorithm", "iterations", "validations", "seed")
    try:
        found = Experiment(
            **{name: fields[name] for name in names},
            judged_by=fields.get("judged_by"),
            data=fields["data"],
            learner=fields["learner"],
            chosen=record["chosen"],
            tuned=record.get("tuned"),
        )
        key, again = found.key, found.fields
    except (KeyError, TypeError) as error:
        raise BenchError(f"{path}: experiment does not fit this version: {error}") from None
    except BenchError as error:
        own = ", ".join(fields.get("code") or ())
        hint = f"; it has code of your own ({own}): name it with --algorithms, --data or --models"
        raise BenchError(f"{path}: experiment: {error}{hint if own else ''}") from None
    if key != fields["key"]:
        raise BenchError(
            f"{path}: experiment.key is {fields['key']}, and in this version what it names is "
            f"{key}: defaults have changed since; check out {record['provenance'].get('commit')}"
        )
    if differing := [name for name in fields if again.get(name) != fields[name]]:
        raise BenchError(
            f"{path}: experiment.{differing[0]} is {fields[differing[0]]!r:.60}, and not what "
            f"experiment.data says ({again.get(differing[0])!r:.60}): it was changed by hand"
        )
    return found


def with_weights(experiment: Experiment, weights: Path | None, path: Path) -> Experiment:
    """The experiment with the file of weights that its network starts from.

    Args:
        experiment: of a record, which knows the file by its checksum alone.
        weights: the file that the user names.
        path: of the record.

    Raises:
        BenchError: if it is another file, or missing, or there should be none.
    """
    if experiment.weights is None:
        if weights is not None:
            raise BenchError(f"{path} is of a run without weights of its own: drop --weights")
        return experiment
    if weights is None:
        raise BenchError(
            f"{path}: the network started from weights of a file ({experiment.weights}), which no "
            "record opens by itself: name it with --weights FILE"
        )
    options = experiment.learner["model_options"] | {"weights": str(weights)}
    found = dataclasses.replace(experiment, learner=experiment.learner | {"model_options": options})
    if found.key != experiment.key:
        there = found.fields["learner"]["model_options"]["weights"]
        raise BenchError(
            f"{weights} is not the file that {path} started from: {there}, and not "
            f"{experiment.weights}"
        )
    return found


def run_again(
    path: Path, machine: Machine, console: Console, weights: Path | None = None
) -> tuple[dict, dict] | None:
    """The record, and the record of running its experiment again, which leaves no files.

    It is run by the same engine as the record's.

    Args:
        path: of the record.
        machine: where to run. On how many devices is for the user to say, and not for a record,
            which may name any number of processes.
        console: where progress is printed.
        weights: the file of weights that the record's network started from, if it did.

    Returns:
        Both; None in all but the first process of several devices.

    Raises:
        BenchError: if the record or its data is not as it should be.
    """
    first = records.read(path)
    experiment = with_weights(read_experiment(first, path), weights, path)
    by = first["provenance"]
    computed_by = {n: by[n] for n in COMPUTED_BY if by.get(n) is not None}
    if computed_by:
        experiment = dataclasses.replace(experiment, learner=experiment.learner | computed_by)
        experiment.check()
    world = ranks.join(machine)
    console.quiet = console.quiet or not world.is_first
    with world.end_together():
        return _run_again(first, experiment, machine, console, world)


def check_devices(path: Path) -> None:
    """Refuses the record of a run on several devices, unless the user says on how many to run it.

    Raises:
        BenchError: says how many the record's were.
    """
    devices = records.read(path)["provenance"].get("devices", 1)  # older records do not say
    if type(devices) is int and devices > 1:
        raise BenchError(
            f"{path}: was run on {devices} devices: add --devices {devices}, which starts as many "
            "processes, or --devices 1, on which last digits may differ"
        )


def _run_again(
    first: dict, experiment: Experiment, machine: Machine, console: Console, world: World
) -> tuple[dict, dict] | None:
    from bench.running.training import train  # which takes seconds to load

    console.print(f"running {experiment}, {experiment.iterations} iterations", markup=False)
    data = registry.create("data", experiment.dataset, **machine.data_arguments(experiment))
    data.setup("fit")  # says what is wrong with it
    before, now = first["provenance"].get("data"), data.checksum
    if before not in (None, now):  # older records do not say
        console.print(f"other data than the record's: checksum {before} then, {now} now")
    with tempfile.TemporaryDirectory() as folder:
        out, split = Path(world.broadcast(folder)), first["evaluation"]["split"]
        record = train(experiment, out, split, machine, console.is_terminal, console.print)
        if not world.is_first:
            return None
        copy = experiment.files(out).record
        records.write(copy, record)  # rounded as the first one is
        return first, records.read(copy)


def compare(first: dict, second: dict) -> list[Compared]:
    """What must not depend on when a run took place."""
    headline = first["metrics"]["headline"]
    validations = [[v for _, v in r["training"]["validation"]] for r in (first, second)]
    values = [r["evaluation"]["per_episode"].get(headline, []) for r in (first, second)]
    means = [[r["metrics"].get(headline, {}).get("mean")] for r in (first, second)]
    data = [r["provenance"].get("data") for r in (first, second)]
    metrics = [_without_intervals(r["metrics"]) for r in (first, second)]
    return [
        *([Compared("data", data[0] == data[1], None)] if data[0] is not None else []),
        _compared("which episodes", *(r["evaluation"]["index"] for r in (first, second))),
        _compared(f"{headline} of each episode", *values),
        _compared(f"mean {headline}", *means),
        _compared("validations while training", *validations),
        Compared("every metric", metrics[0] == metrics[1], None),
    ]


def _without_intervals(metrics: dict[str, Any]) -> dict[str, Any]:
    """Intervals follow from the episodes, and how has changed: older records have 1.96 for t."""
    return {
        name: {k: v for k, v in metric.items() if k != "ci95"}
        for name, metric in without_headline(metrics).items()
    }


def show(first: dict, second: dict, compared: list[Compared], console: Console) -> None:
    """Prints what is equal, and where the two runs took place."""
    table = Table(title=first["experiment"]["key"])
    for heading in ("", "equal", "largest difference"):
        table.add_column(heading)
    for what, equal, largest in compared:
        difference = "-" if largest is None else f"{largest:.2g}"
        table.add_row(what, "[green]yes[/green]" if equal else "[red]no[/red]", difference)
    console.print(table)
    for name in PLACES:
        before, now = (r["provenance"].get(name) for r in (first, second))
        if before != now:
            console.print(f"{name}: {before} then, {now} now", highlight=False, markup=False)


def _compared(what: str, first: list, second: list) -> Compared:
    if len(first) != len(second):
        return Compared(f"{what} ({len(first)} and {len(second)})", False, None)
    pairs = [(a, b) for a, b in zip(first, second) if a is not None and b is not None]
    return Compared(what, first == second, max((abs(a - b) for a, b in pairs), default=None))
