"""What tuning has found: ``tuning/<suite>.json``, written by ``tune`` and read by ``run``.

A row is an algorithm on a data set, with all its trials. The file is data from elsewhere: it is
checked when it is read, and what it names are arguments, which are checked where they are used.
"""

import math
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from bench.base import paths, regular_files
from bench.base.errors import BenchError
from bench.results import records
from bench.results.checking import problem
from bench.results.run_files import RunFiles
from bench.results.schema import Count, MaybeNumber, Name
from bench.tasks.metrics import HIGHER_IS_BETTER

VERSION = 1


class Row(msgspec.Struct, kw_only=True):
    """An algorithm on a data set: what was tried, and what was best on validation episodes.

    Attributes:
        dataset: name of the data set.
        setting: ways and shots, such as ``5way-1shot``.
        algorithm: name of the algorithm.
        label: what tables call it, its order included.
        space: argument to its range, as the algorithm declares it; of a grid, to its candidates.
        is_grid: whether the trials are all candidates of the suite's ``sweep``.
        metric: by which the trials were compared.
        higher_is_better: whether the largest value of it is the best.
        iterations: meta-iterations of each trial.
        episodes: validation episodes on which each was scored; 0 where all have diverged.
        best: argument to value.
        score: of the best; None: all have diverged, and ``best`` is the first.
        at_edge: arguments whose best value lies at an end of the range: more may help.
        trials: how many there were, those that diverged included.
        tried: the values of each and its score, None where it diverged.
    """

    dataset: Name
    setting: str
    algorithm: Name
    label: str
    space: dict[Name, list[Any]]
    is_grid: bool
    metric: Name
    higher_is_better: bool
    iterations: Count
    episodes: Count
    best: dict[Name, Any]
    score: MaybeNumber
    at_edge: list[Name]
    trials: Count
    tried: list[tuple[dict[Name, Any], MaybeNumber]]

    @property
    def scores(self) -> list[float | None]:
        """The score of each trial."""
        return [score for _, score in self.tried]

    @property
    def cell(self) -> tuple[str, str, str, str]:
        """Which row of a table its values are for."""
        return self.dataset, self.setting, self.algorithm, self.label


Rows = dict[Name, Row]  # by the key of the trial with the suite's own values


class File(msgspec.Struct):
    """The whole file."""

    schema: Literal[VERSION]
    suite: Name
    rows: Rows


def path_in(out: Path, suite: str) -> Path:
    """Where the file of a suite lies in a results folder."""
    return Path(out) / "tuning" / f"{suite}.json"


def write(path: Path, suite: str, rows: Rows) -> None:
    """Writes the file of a suite, all trials of a row on one line.

    Raises:
        BenchError: if the folder cannot be written to.
    """
    content = {
        "schema": VERSION,
        "suite": suite,
        "rows": msgspec.to_builtins(rows),
    }
    paths.write_text(path, records.as_text(content) + "\n")


def read(path: Path) -> Rows:
    """The rows of a file; none if there is no such file.

    Raises:
        BenchError: names the file and the field that is wrong.
    """
    try:
        content = msgspec.json.decode(regular_files.read_bytes(path))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise BenchError(f"{path}: cannot be read ({error}): delete it and tune again") from None
    if found := problem(content, File) or _contradiction(content):
        raise BenchError(f"{path}: {found}: delete it and tune again")
    return msgspec.convert(content, File).rows


def _contradiction(content: dict[str, Any]) -> str | None:
    """What no type can say."""
    for key, row in content["rows"].items():
        where = f"rows.{key}"
        if row["trials"] != len(row["tried"]) or not row["tried"]:
            return f"{where}.trials is {row['trials']}, and tried has {len(row['tried'])}"
        if [row["best"], row["score"]] not in [list(t) for t in row["tried"]]:
            return f"{where}.best with its score is none of those tried"
        for name in row["at_edge"]:
            if name not in row["best"] or not _is_range(row["space"].get(name, [])):
                return f"{where}.at_edge names {name!r:.60}, which best and space have no values of"
        if not (row["label"] + row["setting"]).isprintable():
            return f"{where}: label or setting holds control characters"
    return None


def _is_range(space: list[Any]) -> bool:
    """Whether it is a scale with its candidates, or with its two ends."""
    scale, *values = space or [None]
    return len(values) == 2 or (scale == "choice" and len(values) > 0)


def judge(record: dict[str, Any]) -> tuple[str, bool]:
    """The metric by which a record is compared with others in a choice; whether more is better.

    Raises:
        BenchError: names the record that lacks its metric.
    """
    experiment, metrics = record["experiment"], record["metrics"]
    metric = experiment.get("judged_by") or metrics["headline"]
    if not isinstance(metrics.get(metric), dict):
        path = RunFiles.locate(Path(), experiment).record
        raise BenchError(
            f"{path}: experiment.judged_by is {metric!r:.60}, of which it has no value: delete the "
            "file and tune again"
        )
    return metric, metric in HIGHER_IS_BETTER


def best_of(scores: list[float | None], higher_is_better: bool) -> int:
    """The number of the best trial, the first of equal ones; one that diverged is the worst."""
    return max(range(len(scores)), key=lambda i: _signed(scores[i], higher_is_better))


def _signed(score: float | None, higher_is_better: bool) -> float:
    if score is None:
        return -math.inf
    return score if higher_is_better else -score


def expected_best(scores: list[float | None], higher_is_better: bool) -> list[float]:
    """The score to expect of the best of 1, 2, ... trials, had there been no more.

    The mean of the best over all sets of n of the N trials:
    ``sum_i v_(i) C(i - 1, n - 1) / C(N, n)`` with the scores ``v_(1) <= ... <= v_(N)``. Dodge,
    Gururangan, Card, Schwartz and Smith, "Show Your Work: Improved Reporting of Experimental
    Results", EMNLP 2019 (arXiv:1909.03004), proposed the curve; the estimate is the one without
    bias of Tang et al. 2020 (arXiv:2004.13705), equation 6. A trial that diverged counts as the
    worst of those that did not.

    Returns:
        For each n from 1 to N; NaN where all have diverged.

    >>> expected_best([1.0, 2.0, 3.0], higher_is_better=True)
    [2.0, 2.6666666666666665, 3.0]
    """
    signed = np.array([_signed(s, higher_is_better) for s in scores])
    finite = np.isfinite(signed)
    if not finite.any():
        return [math.nan] * len(scores)
    signed = np.sort(np.where(finite, signed, signed[finite].min()))
    count, sign = len(signed), 1 if higher_is_better else -1
    return [
        sign
        * sum(v * math.comb(i, n - 1) / math.comb(count, n) for i, v in enumerate(signed.tolist()))
        for n in range(1, count + 1)
    ]
