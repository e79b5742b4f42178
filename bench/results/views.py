"""A training that was tested on several stretches of episodes, as one record for each."""

from typing import Any


def by_shots(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One record for each view of the test episodes, where one training was tested on several.

    A view is a number of answers shown, or a source other than that of training.
    """
    found = []
    for record in records:
        first = 0
        if not record["evaluation"].get("views"):
            found.append(record)
        for view in record["evaluation"].get("views", ()):
            found.append(_seen_through(record, view, slice(first, first + view["episodes"])))
            first += view["episodes"]
    return found


def _seen_through(record: dict, view: dict, part: slice) -> dict:
    """The record as if its training had been tested on one view alone."""
    experiment, evaluation = record["experiment"] | {"shots": view["shots"]}, record["evaluation"]
    if "source" in view:
        trained_on = " + ".join(experiment["data"]["train_datasets"])
        experiment["dataset"] = f"{trained_on} → {view['source']}"
    headline = {k: v for k, v in record["metrics"].items() if not isinstance(v, dict)}
    return record | {
        "experiment": experiment,
        "metrics": headline | view["metrics"],
        "evaluation": {
            "episodes": view["episodes"],
            "split": evaluation["split"],
            "index": evaluation["index"][part],
            "per_episode": {n: v[part] for n, v in evaluation["per_episode"].items()},
        },
        "recovery": view["recovery"],
    }
