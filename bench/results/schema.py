"""What a record holds, as types: reading checks against them, and the JSON schema is made of them.

A record itself stays a plain dict. What no type can say, such as that two lists are of one length,
is in :mod:`bench.results.checking`.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from bench.base import paths

VERSION = 1
NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]*(?!\n)$"  # as paths.is_file_name; JSON schema knows no \Z
LARGEST = 2**53 - 1  # whole number that every reader of JSON holds
MOST = 1e100  # squares, and sums of them, are finite too

Name = Annotated[str, Meta(pattern=NAME)]  # becomes a path or a label
Count = Annotated[int, Meta(ge=0, le=LARGEST)]
Number = Annotated[float, Meta(gt=-MOST, lt=MOST)]
MaybeNumber = Number | None  # None: what was not finite, or not measured


class Experiment(Struct):
    """Everything that the result depends on, and the key that follows from it."""

    suite: Name
    dataset: Name
    algorithm: Name
    ways: Count | None
    shots: Count | None
    queries: Count | None
    seed: int
    iterations: Count
    data: dict[Name, Any]
    learner: dict[Name, Any]
    key: Name
    validations: Count | UnsetType = UNSET
    judged_by: Name | UnsetType = UNSET


class Algorithm(Struct):
    """What an algorithm is called and compared with."""

    label: str
    order: Literal[1, 2] | None
    role: Literal["ceiling", "floor", "baseline"] | None


class Metric(Struct):
    """Mean over episodes, half-width of its 95 % interval, and the mean after each inner step."""

    mean: MaybeNumber
    ci95: MaybeNumber
    per_step: Annotated[list[MaybeNumber], Meta(min_length=1)]


class Headline(Struct):
    """Which metric counts; beside these two fields the metrics stand by their names."""

    headline: Name
    higher_is_better: bool


Metrics = Annotated[
    Headline, Meta(extra_json_schema={"unevaluatedProperties": {"$ref": "#/$defs/Metric"}})
]


class View(Struct, forbid_unknown_fields=True):
    """The results on a stretch of the episodes: those with so many shots, or of one source."""

    shots: Count | None
    episodes: Annotated[int, Meta(ge=1, le=LARGEST)]
    metrics: dict[Name, Metric]
    recovery: dict[str, MaybeNumber]
    source: Name | UnsetType = UNSET


class Evaluation(Struct):
    """The headline metric of every episode, in the order of ``index``."""

    episodes: Count
    split: Literal["test", "val"]
    index: Annotated[list[Count], Meta(min_length=1)]
    per_episode: dict[Name, list[MaybeNumber]]
    views: list[View] | UnsetType = UNSET


class Training(Struct):
    """How long was trained, ``[iteration, value]`` of each validation, and what they chose."""

    iterations: Count
    seconds: MaybeNumber
    best_iteration: Count | None
    validation: list[tuple[Count, MaybeNumber]]
    temperature: MaybeNumber | UnsetType = UNSET


class Cost(Struct):
    """What one meta-iteration costs: milliseconds, MiB, and how many parameters there are.

    ``device`` and ``threads`` are those it was measured on; not said: those of the training.
    """

    ms_per_iteration: MaybeNumber
    ms_low: MaybeNumber
    ms_high: MaybeNumber
    peak_memory_mib: MaybeNumber
    parameters: MaybeNumber
    device: str | UnsetType = UNSET
    threads: int | UnsetType | None = UNSET


class Tuned(Struct):
    """What of the arguments came from tuning: the best of so many trials, and its score there."""

    values: dict[Name, Any]
    trials: Count
    score: MaybeNumber


class Record(Struct):
    """One finished run."""

    schema: Literal[VERSION]
    experiment: Experiment
    synthetic: bool
    chosen: str
    metrics: Metrics
    evaluation: Evaluation
    training: Training
    cost: Cost | None
    provenance: dict[str, str | int | bool | None]
    algorithm: Algorithm | UnsetType = UNSET
    tuned: Tuned | UnsetType = UNSET


COST_FIELDS = tuple(n for n in Cost.__struct_fields__ if n not in ("device", "threads"))


def write_json_schema(path: Path) -> None:
    """Writes the JSON schema of a record: ``results/record.schema.json`` is made by this.

    Raises:
        BenchError: if the folder cannot be written to.
    """
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A record of maml-bench, version {VERSION}",
        **msgspec.json.schema(Record),
    }
    paths.write_text(path, json.dumps(schema, indent=1) + "\n")
