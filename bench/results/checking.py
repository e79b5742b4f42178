"""Whether a record is whole: its fields have their types, and what they hold fits together."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bench.base.errors import BenchError
from bench.base.paths import is_file_name
from bench.results import schema

TYPES = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
}


def check(record: Any, path: Path) -> None:
    """Checks the fields of a record, and that they fit together.

    Args:
        record: what was read, or is to be written.
        path: its file, for messages.

    Raises:
        BenchError: names the file and the field.
    """
    if found := _problem_of_record(record):
        raise BenchError(f"{path}: {found}")


def _problem_of_record(record: Any) -> str | None:
    if found := problem(record, schema.Record):
        return found
    headline, evaluation = record["metrics"]["headline"], record["evaluation"]
    metrics = without_headline(record["metrics"])
    if found := problem(metrics, dict[schema.Name, schema.Metric], "metrics"):
        return found
    if not record["chosen"].isprintable():
        return "chosen holds control characters"
    if not record.get("algorithm", {}).get("label", "").isprintable():
        return "algorithm.label holds control characters"
    words = [*record["provenance"], *map(str, record["provenance"].values())]
    if not all(map(str.isprintable, words)):
        return "provenance must hold plain words and numbers"
    index, episodes = evaluation["index"], evaluation["episodes"]
    if len(index) != episodes:
        return f"evaluation.index has {len(index)} entries for {episodes} episodes"
    if len(set(index)) != len(index):
        return "evaluation.index must hold different numbers"
    if headline not in evaluation["per_episode"]:
        return f"evaluation.per_episode.{headline} is missing, and it is the headline"
    for name, values in evaluation["per_episode"].items():
        field = f"evaluation.per_episode.{name}"
        if len(values) != episodes:
            return f"{field} has {len(values)} entries for {episodes} episodes"
        if name not in metrics:
            return f"metrics.{name} is missing, and {field} is not"
    data = record["experiment"]["data"]
    for name in ("fold", "version"):  # which tell repetitions apart
        if type(data.get(name)) not in (int, type(None)):
            return f"experiment.data.{name} must be a whole number or null"
    return _problem_of_views(evaluation, headline, data.get("train_datasets"))


def _problem_of_views(evaluation: dict, headline: str, trained_on: Any) -> str | None:
    views = evaluation.get("views", ())
    named = isinstance(trained_on, list) and all(map(is_file_name, trained_on))
    for number, view in enumerate(views):
        field = f"evaluation.views[{number}]"
        if view["shots"] is None and "source" not in view:
            return f"{field}.shots must be a whole number where there is no source"
        if "source" in view and not named:
            return f"{field}.source needs experiment.data.train_datasets, a list of names"
        if headline not in view["metrics"]:
            return f"{field}.metrics.{headline} is missing, and it is the headline"
        if len(without_headline(view["metrics"])) < len(view["metrics"]):
            return f"{field}.metrics must hold no headline"
    if len({(view["shots"], view.get("source")) for view in views}) < len(views):
        return "evaluation.views must differ in shots or source"
    if views and sum(view["episodes"] for view in views) != evaluation["episodes"]:
        return "evaluation.views do not add up to evaluation.episodes"
    return None


def without_headline(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics by their names, without the fields that say which of them counts."""
    return {n: v for n, v in metrics.items() if n not in schema.Headline.__struct_fields__}


# Messages ---------------------------------------------------------------------------------------


def problem(content: Any, kind: Any, field: str = "") -> str | None:
    """What keeps content from being of a type, such as ``experiment.seed is missing``.

    Args:
        content: as it was read from JSON.
        kind: a structure of :mod:`bench.results.schema`, or any type that msgspec knows.
        field: where the content stands in its file.

    Returns:
        The first thing that is wrong; None if nothing is.
    """
    error = _error(content, kind)
    if error is None:
        return None
    why, _, where = error.partition(" - at ")
    place = _place(content, kind, error, where.rpartition("$")[2])
    if lacks := re.fullmatch("Object (missing required|contains unknown) field `(.+)`", why):
        place, why = [*place, lacks[2]], {"missing": "is missing"}.get(lacks[1][:7], "is unknown")
    elif why.startswith("Invalid enum value"):
        why = f"must be {_listed(_choices(kind, place))}"
    else:
        why = _in_words(why)
    if where.startswith("`key`"):
        why = f"has a name that {why}"
    parts = [f"[{p}]" if isinstance(p, int) else f".{p}" for p in place]
    return f"{(field + ''.join(parts)).removeprefix('.')} {why}".strip()


def _error(content: Any, kind: Any) -> str | None:
    """What msgspec says: ``Expected `int`, got `str` - at `$.experiment.seed```."""
    try:
        msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def _place(content: Any, kind: Any, error: str, path: str) -> list[str | int]:
    """The names and numbers on the way to what is wrong.

    For a name in a dict msgspec writes ``[...]``; which one it is shows when each is tried alone.
    """
    place: list[str | int] = []
    for step in re.findall(r"\w+|\.\.\.", path):
        part = content
        for name in place:
            part = part[name]
        if step == "...":
            alone = {name: _with(content, place, {name: part[name]}) for name in part}
            step = next(name for name in part if _error(alone[name], kind) == error)
            content = alone[step]
        place.append(int(step) if isinstance(part, list) else step)
    return place


def _with(content: Any, place: list[str | int], value: Any) -> Any:
    """A copy with another value at a place."""
    if not place:
        return value
    copy = content.copy()
    copy[place[0]] = _with(content[place[0]], place[1:], value)
    return copy


def _choices(kind: Any, place: list[str | int]) -> list[Any]:
    """The values that a field of a structure may have."""
    found = [msgspec.inspect.type_info(kind)]
    for name in place:
        (fields,) = (t.fields for t in found if isinstance(t, msgspec.inspect.StructType))
        found = [f.type for f in fields if f.encode_name == name]
        found = [t for f in found for t in getattr(f, "types", [f])]
    choices = [v for t in found for v in getattr(t, "values", ())]
    if any(isinstance(t, msgspec.inspect.NoneType) for t in found):
        choices.append("null")
    return choices


def _in_words(why: str) -> str:
    """From ``Expected `float | null`, got `str``` to ``must be a number or null, not text``."""
    if repr(schema.NAME) in why:
        return "must be letters, digits and . _ - only"
    why = re.sub("`(.+?)`", lambda m: _listed([TYPES.get(t, t) for t in m[1].split(" | ")]), why)
    why = why.replace("Expected ", "must be ").replace(", got ", ", not ")
    return why if why.startswith("must") else f"is wrong: {why}"


def _listed(values: list[Any]) -> str:
    *first, last = map(str, values)
    return f"{', '.join(first)} or {last}" if first else last
