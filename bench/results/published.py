"""What papers report, beside ours: ``datasets/NAME/published.csv``, and how its protocol differs.

A cell is empty where the source does not say. A result of ours is compared with a reported one only
where all that ours was made with, of what is told here, is known of theirs and is equal.
"""

import csv
import io
import math
from functools import lru_cache
from typing import Any

import msgspec

from bench.base import paths, regular_files
from bench.base.errors import BenchError

UNSTATED = "not said of theirs: "
DEFAULT_FILTERS = 64  # of conv4


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reported result.

    Attributes:
        method: what its source calls it.
        algorithm: our name of it; empty if there is none.
        order: of the meta-gradient; None where there is no such thing.
        ways: of the test tasks; None where there are no classes.
        shots: of the test tasks.
        metric: which the value is of, as in a record.
        value: as in a record: 0.987 is 98.7 %.
        interval: the number after the ±.
        interval_is: what that number is, in words.
        backbone: such as ``conv4 64``: a model and its filters, and options of it that are not at
            their defaults.
        pretrained: whether it was trained as a classifier before.
        queries: of each class at test.
        batch_norm: ``transductive``, or how else the test images are normalised.
        episodes: that were tested.
        iterations: of meta-training.
        source: where the number stands.
        first_hand: whether those who report it have run it, and we have read it there.
        note: what else is particular.
        inner_steps: while training; None also where there is no such thing.
        test_steps: inner steps at test.
        train_ways: classes of a training task.
        split: which classes are for training and which for test, where there are several ways.
        rotations: which splits also use classes turned by 90, 180 and 270 degrees. A file without
            this column is of images that nobody turns.
    """

    method: str
    algorithm: str
    order: int | None
    ways: int | None
    shots: int
    metric: str
    value: float
    interval: float | None
    interval_is: str
    backbone: str
    pretrained: str
    queries: int | None
    batch_norm: str
    episodes: int | None
    iterations: int | None
    source: str
    first_hand: str
    note: str
    inner_steps: int | None = None
    test_steps: int | None = None
    train_ways: int | None = None
    split: str = ""
    rotations: str = "none"


OPTIONAL = ("order", "ways", "interval", "queries", "episodes", "iterations", "inner_steps")
OPTIONAL += ("test_steps", "train_ways")


@lru_cache
def of_dataset(dataset: str) -> tuple[Published, ...]:
    """All that is known of a data set; nothing of one that the package does not know.

    Raises:
        BenchError: names the file and line that is wrong.
    """
    if not paths.is_file_name(dataset):
        return ()
    try:
        path = paths.facts(dataset) / "published.csv"
        text = regular_files.read_text(path)
    except (BenchError, FileNotFoundError):
        return ()
    found = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), 2):
        values = {k: (v or None) if k in OPTIONAL else v for k, v in row.items()}
        try:
            found.append(msgspec.convert(values, Published, strict=False))
        except (msgspec.ValidationError, TypeError) as error:
            raise BenchError(f"{path}, line {number}: {error}: mend that line") from None
    return tuple(found)


def beside(record: dict[str, Any], order: int | None) -> Published | None:
    """What was reported first of a record's method and setting, with its network if there is such.

    Args:
        record: of one view, as :func:`bench.results.views.by_shots` gives it.
        order: 1 or 2, of its algorithm, or None.
    """
    e, metric = record["experiment"], record["metrics"]["headline"]
    wanted = e["algorithm"], e["ways"], e["shots"], metric
    found = [
        row
        for row in of_dataset(e["dataset"])
        if (row.algorithm, row.ways, row.shots, row.metric) == wanted
        and (row.order is None or order is None or row.order == order)
    ]

    def unlike(row: Published) -> int:
        pairs = _ours_and_theirs(row, record)
        return sum(pairs[name][0] != pairs[name][1] for name in ("network", "pretraining"))

    return min(found, key=unlike, default=None)


def differences(row: Published, record: dict[str, Any]) -> list[str]:
    """How the protocol of a record differs from the reported one, and what is not told, in words.

    Nothing is said only where all that matters of the record is known of the other and is equal.
    """
    pairs = _ours_and_theirs(row, record)
    found = [
        f"{name}: {ours}, theirs {theirs}"
        for name, (ours, theirs) in pairs.items()
        if not _lacks(ours) and not _lacks(theirs) and ours != theirs
    ]
    unstated = [name for name, (a, b) in pairs.items() if _lacks(b) and not _lacks(a)]
    return [*found, *([f"{UNSTATED}{', '.join(unstated)}"] if unstated else [])]


def _lacks(value: Any) -> bool:
    return value in (None, "")


def _ours_and_theirs(row: Published, record: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What matters of a protocol: what ours was, and theirs; None or "" of what there is not."""
    e = record["experiment"]
    data, learner, ways = e["data"], e["learner"], e["ways"]
    steps = learner.get("inner_steps")
    at_test = learner.get("test_steps")
    return {
        "network": (_backbone(e), row.backbone),
        "pretraining": ("yes" if _weights(learner) else "no", row.pretrained),
        "inner steps": (steps, row.inner_steps),
        "test steps": (steps if at_test is None else at_test, row.test_steps),
        "split": (data.get("split"), row.split),
        "rotations": (data.get("rotations"), row.rotations),
        "augmentation": (
            ", ".join(data.get("augmentation") or ()),
            None,
        ),  # of which no source says
        "training ways": (data.get("train_ways") or ways, row.train_ways),
        "queries": (e["queries"], row.queries),
        # networks of other things than images have none
        "batch norm": (learner.get("batch_norm") if ways else None, row.batch_norm),
        "test episodes": (record["evaluation"]["episodes"], row.episodes),
        "meta-iterations": (record["training"]["iterations"], row.iterations),
    }


def _weights(learner: dict[str, Any]) -> Any:
    """What the network was trained to before, if it was."""
    return (learner.get("model_options") or {}).get("weights")


def _backbone(experiment: dict[str, Any]) -> str | None:
    """The network in words; None where it has no name that is told everywhere."""
    learner = experiment["learner"]
    model, options = learner.get("model"), dict(learner.get("model_options") or {})
    options.pop("weights", None)  # which are told apart
    if model is None:
        if not experiment["ways"]:
            hidden = learner.get("hidden")
            return f"{experiment['algorithm']} {hidden}" if hidden else None
        model = "conv4"
    if model == "conv4":
        filters = options.pop("filters", DEFAULT_FILTERS)
        words = filters if isinstance(filters, int) else "-".join(map(str, filters))
        model = f"conv4 {words}"
    return ", ".join([str(model), *(f"{n} {v}" for n, v in sorted(options.items()))])


def reached(row: Published, mean: float | None) -> str:
    """Whether a result of the same protocol lies within the reported interval, or how far off.

    Nothing is said of a result that there is not, as of a run that diverged.

    >>> row = Published("MAML", "maml", 2, 5, 1, "accuracy", 0.987, 0.004, *[""] * 3, None, "",
    ...                 None, None, "", "", "")
    >>> reached(row, 0.985), reached(row, 0.95)
    ('reproduced', 'ours is off by -3.7 %')
    """
    if mean is None or math.isnan(mean):
        return ""
    off = mean - row.value
    if abs(off) <= (row.interval or 0):
        return "reproduced"
    percent = row.metric in ("accuracy", "error_rate")
    return f"ours is off by {f'{100 * off:+.1f} %' if percent else f'{off:+.3f}'}"
