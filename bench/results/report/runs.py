"""Where each result comes from: a line a run, its arguments, and the commands that repeat it."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.base import registry
from bench.results import labels
from bench.results.answer_tables import missing
from bench.results.plots import NAMES
from bench.results.run_files import RunFiles
from bench.results.summary import REPEATED, setting
from bench.results.tables import figure

OF_ONE_RUN = ("commit", "data", "date")  # of its provenance; the rest many have alike
HEADINGS = ("Data", "Setting", "Algorithm", "Run", "Result", "Minutes", "Date")


def lines(records: Sequence[dict[str, Any]], out: Path) -> list[dict[str, Any]]:
    """One entry a run: ``cells`` as ``(text, value to sort by)``, and ``details`` to unfold.

    Args:
        records: as they are read.
        out: the results folder that the commands name.
    """
    return [{"cells": _cells(r), "details": _details(r, out)} for r in records]


def packed(listed: Sequence[dict[str, Any]]) -> dict[str, list]:
    """The details of all runs for the page's script, each text once: many runs say the same.

    Args:
        listed: from :func:`lines`.

    Returns:
        ``names`` of the details, ``texts``, and of each of the ``runs`` the number of its text for
        every name; None where it has none.
    """
    names = [*dict.fromkeys(name for line in listed for name in line["details"])]
    numbers: dict[str, int] = {}
    runs = [
        [
            None
            if name not in line["details"]
            else numbers.setdefault(line["details"][name], len(numbers))
            for name in names
        ]
        for line in listed
    ]
    return {"names": names, "texts": [*numbers], "runs": runs}


def _cells(record: dict) -> list[tuple[str, Any]]:
    e, metrics, seconds = record["experiment"], record["metrics"], record["training"]["seconds"]
    metric = metrics["headline"]
    value = metrics[metric]["mean"]
    run = {n: e["data"].get(n, e.get(n)) for n in REPEATED}
    shots = None if record["evaluation"].get("views") and not e["ways"] else e["shots"]
    words = "several shots" if shots is None and not e["ways"] else setting(e["ways"], shots)
    date = str(record["provenance"].get("date") or "")
    nll = metrics.get("nll", {}).get("mean")
    result = missing(metric, value, nll) or figure(metric, value)
    return [
        (e["dataset"], e["dataset"]),
        (words, words),
        (str(labels.of_record(record)), str(labels.of_record(record))),
        (", ".join(f"{n} {v}" for n, v in run.items() if v is not None), e["seed"]),
        (f"{NAMES.get(metric, metric)} {result}", "" if value is None else value),
        ("-" if seconds is None else f"{seconds / 60:.1f}", -1 if seconds is None else seconds),
        (date[:10], date),
    ]


def _details(record: dict, out: Path) -> dict[str, str]:
    e, made = record["experiment"], record["provenance"]
    return {
        **_commands(e, RunFiles.locate(out, e).record),
        "Chosen": record["chosen"] or "-",
        "Data": _arguments(e["data"]),
        "Algorithm": _arguments(e["learner"]),
        "Training": _arguments({k: v for k, v in record["training"].items() if k != "validation"}),
        "Made by": _arguments({k: v for k, v in made.items() if k not in OF_ONE_RUN}),
        "Made from": _arguments({k: v for k, v in made.items() if k in OF_ONE_RUN}),
    }


def _commands(experiment: dict, path: Path) -> dict[str, str]:
    """What to type to have the run again, where the user's own code has to be named too."""
    e, own = experiment, experiment.get("code") or {}
    kinds = {e["algorithm"]: "--algorithms", e["dataset"]: "--data"}
    places = [part for name in own for part in (kinds.get(name, "--models"), f"path/to/{name}.py")]
    found = {
        "Repeat this run and compare": shlex.join(["maml-bench", "reproduce", str(path), *places])
    }
    if not own and e["suite"] in registry.names("suites"):
        again = ["maml-bench", "run", e["suite"], "--datasets", e["dataset"]]
        again += ["--algorithms", e["algorithm"], "--seeds", str(e["seed"]), "--out", "mine"]
        found["Run it from its suite as that stands"] = shlex.join(again)
    return found


def _arguments(given: dict[str, Any]) -> str:
    """Arguments in one line, as a reader writes them."""
    return ", ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in sorted(given.items())
        if value is not None
    )
