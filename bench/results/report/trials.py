"""How hyper-parameters were chosen: the trials of each algorithm, and what more of them would give.

From the records of the trials, which lie beside those of the suite as ``<suite>-tuning``.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from bench.results import labels
from bench.results.labels import Label
from bench.results.summary import REPEATED, setting
from bench.results.tables import figure
from bench.results.tuned import best_of, expected_best, judge

TUNING = "-tuning"  # the end of the name of a suite of trials


class Tuned(NamedTuple):
    """The trials of an algorithm on a data set and setting: of one length, judged by one metric.

    Attributes:
        label: of the algorithm.
        setting: in words.
        metric: by which they were compared.
        expected: the score to expect of the best of 1, 2, ... trials.
        best: the values of the best one, in words.
        trials: how many there were.
        iterations: meta-iterations of each.
        left_out: how many others there are, from choices before this one.
    """

    label: Label
    setting: str
    metric: str
    expected: list[float]
    best: str
    trials: int
    iterations: int
    left_out: int

    def score(self, number: int) -> str:
        """What to expect of the best of so many trials; a dash where there were fewer."""
        return figure(self.metric, self.expected[number - 1]) if number <= self.trials else "-"


def is_trial(record: dict[str, Any]) -> bool:
    """Whether a record is one of a choice, and no result."""
    return record["experiment"]["suite"].endswith(TUNING)


def of_dataset(records: Sequence[dict[str, Any]], suite: str, dataset: str) -> list[Tuned]:
    """One entry an algorithm and setting, of those with two trials or more.

    Args:
        records: of trials.
        suite: whose choices.
        dataset: of which data set.

    Raises:
        BenchError: names a record that lacks the metric that it was judged by.
    """
    groups: dict[tuple, list[dict]] = {}
    for record in records:
        e = record["experiment"]
        if (e["suite"], e["dataset"]) == (suite + TUNING, dataset):
            words = setting(e["ways"], e["shots"])
            if "fold" in e["data"]:  # each is a choice of its own
                words = f"{words}, fold {e['data']['fold']}"
            groups.setdefault((words, labels.of_record(record)), []).append(record)
    found = []
    for (words, label), every in groups.items():
        members = _latest(every)
        metric, better = judge(members[0])
        scores = [m["metrics"][metric]["mean"] for m in members]
        if len(members) > 1:
            found.append(
                Tuned(
                    label,
                    words,
                    metric,
                    expected_best(scores, better),
                    _values(members, best_of(scores, better)),
                    len(members),
                    members[0]["experiment"]["iterations"],
                    len(every) - len(members),
                )
            )
    return found


def _latest(records: list[dict]) -> list[dict]:
    """Of trials of several lengths, or judged by several metrics, those that were made last.

    The others stay in the folder when a suite is tuned again, and cannot be compared with these.
    """

    def kind(record: dict) -> tuple[int, str]:
        return record["experiment"]["iterations"], judge(record)[0]

    last = max(records, key=lambda r: (str(r["provenance"].get("date") or ""), kind(r)))
    return [r for r in records if kind(r) == kind(last)]


def _values(members: list[dict], best: int) -> str:
    """The arguments that differ between the trials, as the best one has them."""
    options = [m["experiment"]["data"] | m["experiment"]["learner"] for m in members]
    names = sorted(set().union(*options) - {*REPEATED})
    varying = [n for n in names if len({json.dumps(o.get(n), sort_keys=True) for o in options}) > 1]
    return ", ".join(f"{n}={options[best].get(n)}" for n in varying)
