"""One finished run is one JSON file: written whole or not at all, and checked when read back.

A record is a plain dict. :data:`FIELDS` lists what it must hold. Files are data from elsewhere:
nothing in them is executed, and names that become paths or reach a terminal are checked.
"""

import datetime
import functools
import importlib.metadata
import json
import math
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import bench
from bench.base import allocator
from bench.base.errors import BenchError
from bench.base.paths import is_file_name, write_text
from bench.results.run_files import RunFiles

SCHEMA = 1

OPTIONAL = (int, float, type(None))
NUMBER = set(OPTIONAL)
FIELDS = {
    "schema": int,
    "experiment.suite": str,
    "experiment.dataset": str,
    "experiment.algorithm": str,
    "experiment.ways": (int, type(None)),
    "experiment.shots": (int, type(None)),
    "experiment.queries": (int, type(None)),
    "experiment.seed": int,
    "experiment.iterations": int,
    "experiment.data": dict,
    "experiment.learner": dict,
    "experiment.key": str,
    "synthetic": bool,
    "chosen": str,
    "metrics.headline": str,
    "metrics.higher_is_better": bool,
    "evaluation.episodes": int,
    "evaluation.split": str,
    "evaluation.index": list,
    "evaluation.per_episode": dict,
    "training.iterations": int,
    "training.seconds": OPTIONAL,
    "training.best_iteration": (int, type(None)),
    "training.validation": list,
    "cost": (dict, type(None)),
    "provenance": dict,
}
COST_FIELDS = ("ms_per_iteration", "ms_low", "ms_high", "peak_memory_mib", "parameters")
NAMES = ("suite", "dataset", "algorithm", "key")  # become paths and labels
COUNTS = ("ways", "shots", "queries", "iterations")


def write(path: Path, record: dict) -> None:
    """Checks a record and writes it; a file that is there is a finished run.

    Raises:
        BenchError: if the record is not whole, or the folder cannot be written to.
    """
    record = _plain(record)
    check(record, path)
    rounded = {k: v if k in ("experiment", "schema") else _rounded(v) for k, v in record.items()}
    write_text(path, _text(rounded) + "\n")


def read(path: Path) -> dict:
    """Reads a record and checks it. What was NaN is None.

    Raises:
        BenchError: names the file and the field that is wrong.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_no_constant)
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path} is not a JSON file ({error}): delete it and run again") from None
    check(record, path)
    return record


def read_all(out: Path, suite: str | None = None) -> list[dict]:
    """All records under ``out/runs``, or those of one suite, in the order of their paths.

    Raises:
        BenchError: if a record is broken, or does not lie where its content says.
    """
    records = []
    for path in sorted(Path(out).glob(f"runs/{suite or '*'}/*.json")):
        record = read(path)
        own = RunFiles.of(out, record["experiment"]).record
        if own != path:
            raise BenchError(
                f"{path}: experiment.suite and experiment.key say that this file belongs at {own}"
            )
        records.append(record)
    return records


def by_shots(records: list[dict]) -> list[dict]:
    """One record for each view of the test episodes, where one training was tested on several.

    A view is a number of answers shown, or a source other than that of training.
    """
    found = []
    for record in records:
        evaluation, first = record["evaluation"], 0
        if not evaluation.get("views"):
            found.append(record)
        for view in evaluation.get("views", ()):
            part = slice(first, first + view["episodes"])
            first += view["episodes"]
            one = {k: v for k, v in evaluation.items() if k != "views"}
            one |= {"episodes": view["episodes"], "index": evaluation["index"][part]}
            one["per_episode"] = {n: v[part] for n, v in evaluation["per_episode"].items()}
            names = {k: v for k, v in record["metrics"].items() if not isinstance(v, dict)}
            own = {"shots": view["shots"]}
            if "source" in view:
                own["dataset"] = f"{_trained_on(record)} → {view['source']}"
            found.append(
                record
                | {
                    "experiment": record["experiment"] | own,
                    "metrics": names | view["metrics"],
                    "evaluation": one,
                    "recovery": view["recovery"],
                }
            )
    return found


def _trained_on(record: dict) -> str:
    return " + ".join(record["experiment"]["data"]["train_datasets"])


# Checking ---------------------------------------------------------------------------------------


def check(record: dict, path: Path) -> None:
    """Checks the fields of a record, and that their numbers fit together.

    Raises:
        BenchError: names the file and the field.
    """

    def wrong(field: str, why: str) -> BenchError:
        return BenchError(f"{path}: {field} {why}")

    def get(field: str, kind: type | tuple):
        value = record
        for part in field.split("."):
            if not isinstance(value, dict) or part not in value:
                raise wrong(field, "is missing")
            value = value[part]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if type(value) not in kinds:  # not isinstance, to which True is an int
            raise wrong(field, f"is {type(value).__name__}, not {kinds[0].__name__}")
        if kind is OPTIONAL and not _numbers([value]):
            raise wrong(field, "is not a finite number")
        if isinstance(value, str) and not value.isprintable():
            raise wrong(field, "holds control characters")
        return value

    if get("schema", int) != SCHEMA:
        raise wrong("schema", f"is {record['schema']}; this version reads {SCHEMA}")
    for field, kind in FIELDS.items():
        get(field, kind)
    for name in NAMES:
        if not is_file_name(record["experiment"][name]):
            raise wrong(f"experiment.{name}", "must be letters, digits and . _ - only")
    for name in COUNTS:
        if not _is_count(record["experiment"][name]):
            raise wrong(f"experiment.{name}", "must be a number from 0 on, or nothing")
    if record["cost"] is not None:
        for name in COST_FIELDS:
            get(f"cost.{name}", OPTIONAL)
    for value in record["provenance"].values():
        if not isinstance(value, str | int | None) or not str(value).isprintable():
            raise wrong("provenance", "must hold plain words and numbers")

    evaluation, headline = record["evaluation"], record["metrics"]["headline"]
    index, episodes = evaluation["index"], evaluation["episodes"]
    if not _are_counts(index) or len(set(index)) != len(index):
        raise wrong("evaluation.index", "must hold different whole numbers from 0 on")
    if evaluation["split"] not in ("test", "val"):
        raise wrong("evaluation.split", "must be test or val")
    if not index or len(index) != episodes:
        raise wrong("evaluation.index", f"has {len(index)} entries for {episodes} episodes")
    if headline not in evaluation["per_episode"]:
        raise wrong(f"evaluation.per_episode.{headline}", "is missing, and it is the headline")
    for name, values in evaluation["per_episode"].items():
        field = f"evaluation.per_episode.{name}"
        if not is_file_name(name) or not _numbers(values) or len(values) != episodes:
            raise wrong(field, f"must be a list of {episodes} numbers")
        get(f"metrics.{name}.mean", OPTIONAL)
        get(f"metrics.{name}.ci95", OPTIONAL)
        steps = get(f"metrics.{name}.per_step", list)
        if not steps or not _numbers(steps):
            raise wrong(f"metrics.{name}.per_step", "must be a list of numbers")
    _check_views(evaluation, headline, record["experiment"]["data"].get("train_datasets"), wrong)
    for point in record["training"]["validation"]:
        if not isinstance(point, list) or len(point) != 2 or not _numbers(point):
            raise wrong("training.validation", "must hold [iteration, value] pairs")


def _check_views(evaluation: dict, headline: str, trained_on, wrong) -> None:
    views = evaluation.get("views", [])
    fields = {"shots": int, "episodes": int, "metrics": dict, "recovery": dict}
    of_sources = fields | {"source": str}
    for view in views if isinstance(views, list) else [None]:
        kinds = {k: type(v) for k, v in view.items()} if isinstance(view, dict) else {}
        if "source" in kinds and kinds.get("shots") is type(None):
            kinds["shots"] = int
        if kinds not in (fields, of_sources):
            raise wrong("evaluation.views", f"must be a list of {{{', '.join(fields)}}}")
        if "source" in view and not (is_file_name(view["source"]) and _are_names(trained_on)):
            raise wrong(
                "evaluation.views.source", "and experiment.data.train_datasets must be names"
            )
        for name, metric in view["metrics"].items():
            whole = isinstance(metric, dict) and metric.keys() == {"mean", "ci95", "per_step"}
            if not whole or not _numbers([metric["mean"], metric["ci95"]]):
                raise wrong(f"evaluation.views.metrics.{name}", "must hold mean, ci95, per_step")
            if not metric["per_step"] or not _numbers(metric["per_step"]):
                raise wrong(f"evaluation.views.metrics.{name}.per_step", "must be numbers")
        if view["episodes"] < 1 or not all(map(is_file_name, view["metrics"])):
            raise wrong("evaluation.views", "must hold episodes, and metrics by name")
        if {"headline", "higher_is_better"} & view["metrics"].keys():
            raise wrong("evaluation.views.metrics", "must hold no headline")
        if headline not in view["metrics"] or not _numbers(list(view["recovery"].values())):
            raise wrong("evaluation.views", f"must hold {headline} and numbers")
    if len({(v["shots"], v.get("source")) for v in views}) < len(views):
        raise wrong("evaluation.views", "must differ in shots or source")
    if views and sum(v["episodes"] for v in views) != evaluation["episodes"]:
        raise wrong("evaluation.views", "do not add up to evaluation.episodes")


def _are_names(values) -> bool:
    return isinstance(values, list) and all(map(is_file_name, values))


def _is_count(value) -> bool:
    return value is None or (type(value) is int and 0 <= value < 2**63)


def _are_counts(values: list) -> bool:  # thousands in a record: no call for each
    return not values or (
        set(map(type, values)) == {int} and min(values) >= 0 and max(values) < 2**63
    )


def _numbers(values) -> bool:
    """Whether all are finite numbers or None; 1e999 is JSON too, and read as infinity."""
    if not isinstance(values, list) or not set(map(type, values)) <= NUMBER:
        return False
    numbers = [v for v in values if v is not None]
    return not numbers or (
        min(numbers) > -1e300 and max(numbers) < 1e300 and not any(map(math.isnan, numbers))
    )


def _no_constant(name: str):
    raise ValueError(f"{name} is not JSON")


# Formatting -------------------------------------------------------------------------------------


def _plain(value):
    """Tuples to lists, numpy's arrays and numbers to Python's, what is not finite to None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _rounded(value):
    """Seven significant digits are more than a float32 result has."""
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _text(value, indent: str = "") -> str:
    """JSON with sorted keys and each list on one line, so that a diff stays readable."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value, sort_keys=True, allow_nan=False)
    deeper = indent + "  "
    lines = [f"{deeper}{json.dumps(k)}: {_text(value[k], deeper)}" for k in sorted(value)]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


# Provenance -------------------------------------------------------------------------------------


def provenance(device: str | None = None, data: str | None = None) -> dict:
    """Versions, commit and device of this process; no host, no user, no path.

    Args:
        device: what the run was trained on; None: this machine's processor.
        data: the checksum of the data that it was trained on; None: it was drawn by a program.
    """
    commit, dirty = _checkout()
    torch = sys.modules.get("torch")  # not imported for this alone
    return {
        "bench": bench.__version__,
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "torch": _version("torch"),
        "lightning": _version("lightning"),
        "device": device or _processor(),
        "allocator": allocator.in_use(),
        "threads": torch.get_num_threads() if torch else os.cpu_count(),
        "data": data,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache  # the code that runs is the code that was there when it started
def _checkout() -> tuple[str | None, bool | None]:
    """Commit of the package's own checkout, and whether what decides a result was changed."""
    folder = Path(bench.__file__).resolve().parent.parent
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        options = {"capture_output": True, "text": True, "env": environment, "timeout": 20}
        return subprocess.run(command, check=True, **options).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != folder:
            return None, None  # installed somewhere inside another project's checkout
        changed = git("status", "--porcelain", "--", "bench", "datasets", "pyproject.toml")
        return git("rev-parse", "HEAD"), bool(changed)
    except (OSError, subprocess.SubprocessError):
        return None, None


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return (found.group(1) if found else platform.processor() or platform.machine()).strip()
