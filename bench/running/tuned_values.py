"""What tuning has found for a suite, handed to its experiments."""

from pathlib import Path
from typing import Any

from bench.base import paths
from bench.results import labels, tuned
from bench.results.tuned import Row
from bench.running import search_space
from bench.running.experiment import Experiment


class TunedValues:
    """The best values of a suite's trials, by the trial with the suite's own values.

    They are taken from the results folder, and for what is not there from the project's own file.
    The key of that trial follows from all that it depends on: where the suite, the data or a
    default has changed since, the values are those of something else and are not used.

    Args:
        suite: its name.
        out: the results folder.

    Attributes:
        stale: what has changed since it was tuned, to the file with its old values.

    Raises:
        BenchError: if a file is not what ``tune`` wrote.
    """

    def __init__(self, suite: str, out: Path):
        self._suite = suite
        self._rows: dict[str, tuple[Row, Path]] = {}
        for path in (paths.tuned_values(suite), tuned.path_in(out, suite)):
            self._rows |= {key: (row, path) for key, row in tuned.read(path).items()}
        self._used: dict[str, tuple[Row, Path]] = {}
        self.stale: dict[str, Path] = {}
        self._missing: dict[str, None] = {}

    def __call__(self, trial: Experiment) -> dict[str, Any] | None:
        """What a record says as ``tuned``; None where there is nothing to be used.

        Args:
            trial: with the suite's own values.
        """
        name = f"{trial.dataset} {trial.setting} {trial.algorithm}"
        if trial.key in self._rows:
            row, path = self._rows[trial.key]
            if row.is_grid or row.space == space_of(trial.algorithm):
                self._used[trial.key] = row, path
                return {"values": dict(row.best), "trials": row.trials, "score": row.score}
            self.stale[name] = path
            return None
        label = str(labels.label(trial.algorithm, trial.learner_arguments))
        cell = trial.dataset, trial.setting, trial.algorithm, label
        before = [path for row, path in self._rows.values() if row.cell == cell]
        if before:
            self.stale[name] = before[0]
        elif self._rows and space_of(trial.algorithm):
            self._missing[name] = None
        return None

    def notes(self) -> list[str]:
        """What was used and what was not, in words, after the experiments were made."""
        lines = []
        for path in dict.fromkeys(path for _, path in self._used.values()):
            rows = [row for row, of in self._used.values() if of == path]
            numbers = sorted({row.trials for row in rows})
            trials = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
            lines.append(
                f"tuned values of {_counted(len(rows), 'row')}, each the best of {trials} trials: "
                f"{path} (--untuned leaves them out)"
            )
        again = f"maml-bench tune {self._suite}"
        if self.stale:
            lines.append(
                f"changed since tuning, so that the values in {next(iter(self.stale.values()))} "
                f"are not used: {_listed([*self.stale])}; tune again with {again}"
            )
        if self._missing:
            lines.append(f"not tuned: {_listed([*self._missing])}; {again} does it")
        return lines


def space_of(algorithm: str) -> dict[str, list[Any]]:
    """The ranges that an algorithm declares, as they stand in a file."""
    return {d.name: [d.scale, *d.values] for d in search_space.of(algorithm)}


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _listed(names: list[str]) -> str:
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
