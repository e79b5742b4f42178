"""What papers report, beside ours: ``datasets/NAME/published.csv``, and how its protocol differs.

A column is empty where the source does not say.
"""

import csv
import io
from functools import lru_cache
from typing import Any

import msgspec

from bench.base import paths, regular_files
from bench.base.errors import BenchError

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
        backbone: such as ``conv4 64``: a model and its filters.
        pretrained: whether it was trained as a classifier before.
        queries: of each class at test.
        batch_norm: ``transductive``, or how else the test images are normalised.
        episodes: that were tested.
        iterations: of meta-training.
        source: where the number stands.
        first_hand: whether those who report it have run it, and we have read it there.
        note: what else is particular.
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


OPTIONAL = ("order", "ways", "interval", "queries", "episodes", "iterations")


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
    """What was reported first of the method and setting of a record.

    Args:
        record: of one view, as :func:`bench.results.views.by_shots` gives it.
        order: 1 or 2, of its algorithm, or None.
    """
    e, metric = record["experiment"], record["metrics"]["headline"]
    wanted = e["algorithm"], e["ways"], e["shots"], metric
    for row in of_dataset(e["dataset"]):
        same_order = row.order is None or order is None or row.order == order
        if same_order and (row.algorithm, row.ways, row.shots, row.metric) == wanted:
            return row
    return None


def differences(row: Published, record: dict[str, Any]) -> list[str]:
    """How the protocol of a record differs from the reported one, in words."""
    e, training = record["experiment"], record["training"]
    # what ours was, and theirs; what is not said by the one or the other cannot be compared
    pairs = {
        "network": (_backbone(e), row.backbone),
        "pretraining": ("no", row.pretrained),  # nothing here is
        "queries": (e["queries"], row.queries),
        "batch norm": (e["learner"].get("batch_norm"), row.batch_norm),
        "test episodes": (record["evaluation"]["episodes"], row.episodes),
        "meta-iterations": (training["iterations"], row.iterations),
    }
    found = [
        f"{name}: {ours}, theirs {theirs}"
        for name, (ours, theirs) in pairs.items()
        if ours not in (None, "") and theirs not in (None, "") and ours != theirs
    ]
    return found + (["theirs has unstated parts"] if not found and not _is_whole(row) else [])


def _is_whole(row: Published) -> bool:
    """Whether the source says enough to claim that its protocol was followed."""
    return bool(row.backbone and row.iterations and row.episodes)


def _backbone(experiment: dict[str, Any]) -> str | None:
    learner = experiment["learner"]
    model = learner.get("model")
    if not isinstance(model, str | None):
        return None
    if model is None:
        if not experiment["ways"]:  # whose networks have no name that is told everywhere
            hidden = learner.get("hidden")
            return f"{experiment['algorithm']} {hidden}" if hidden else None
        model = "conv4"
    if model != "conv4":
        return model
    return f"conv4 {(learner.get('model_options') or {}).get('filters', DEFAULT_FILTERS)}"


def reached(row: Published, mean: float) -> str:
    """Whether a result of the same protocol lies within the reported interval, or how far off.

    >>> row = Published("MAML", "maml", 2, 5, 1, "accuracy", 0.987, 0.004, *[""] * 3, None, "",
    ...                 None, None, "", "", "")
    >>> reached(row, 0.985), reached(row, 0.95)
    ('reproduced', 'ours is off by -3.7 %')
    """
    off = mean - row.value
    if abs(off) <= (row.interval or 0):
        return "reproduced"
    percent = row.metric in ("accuracy", "error_rate")
    return f"ours is off by {f'{100 * off:+.1f} %' if percent else f'{off:+.3f}'}"
