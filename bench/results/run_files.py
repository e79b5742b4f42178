"""A run in a results folder: where its files lie, and what they say of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.base.errors import BenchError
from bench.base.paths import is_file_name


class RunFiles(NamedTuple):
    """The files of one run.

    Attributes:
        out: the results folder.
        suite: the suite that the run belongs to.
        key: its name, unique to everything that its result depends on.
    """

    out: Path
    suite: str
    key: str

    @classmethod
    def locate(cls, out: Path, experiment: Mapping[str, Any]) -> "RunFiles":
        """The files of an experiment, given by its fields as they stand in a record.

        Raises:
            BenchError: if its suite or key cannot be a file name.
        """
        for name in ("suite", "key"):
            if not is_file_name(experiment[name]):
                raise BenchError(f"experiment.{name}={experiment[name]!r} cannot be a file name")
        return cls(Path(out), experiment["suite"], experiment["key"])

    @property
    def record(self) -> Path:
        """What came out, ``out/runs/<suite>/<key>.json``: see :mod:`bench.results.records`."""
        return self.out / "runs" / self.suite / f"{self.key}.json"

    @property
    def failure(self) -> Path:
        """Why it failed, ``out/failed/<suite>/<key>.json``: see :mod:`bench.results.failed`."""
        return self.out / "failed" / self.suite / f"{self.key}.json"

    @property
    def checkpoints(self) -> Path:
        """The folder of its weights, and of what it takes to resume."""
        return self.out / "checkpoints" / self.key

    @property
    def logs(self) -> Path:
        """The folder of what a logger writes of the training, if one was asked for."""
        return self.out / "logs" / self.suite / self.key

    @property
    def lock(self) -> Path:
        """The file that the process holds which does the run: see :mod:`bench.base.locks`."""
        return self.checkpoints / ".lock"

    @property
    def _unmeasured(self) -> Path:
        return self.checkpoints / ".unmeasured"

    @property
    def is_recorded(self) -> bool:
        """Whether there is a record; the cost may not be measured yet."""
        return self.record.exists()

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do: recorded and, if that is wanted, the cost measured."""
        return self.is_recorded and not self._unmeasured.exists()

    @property
    def awaits_its_cost(self) -> bool:
        """Whether it has its record, and was stopped while its cost was measured."""
        return self.is_recorded and self._unmeasured.exists()

    @property
    def has_failed(self) -> bool:
        """Whether it was tried last without success."""
        return not self.is_finished and self.failure.exists()

    @property
    def last_failed(self) -> int | None:
        """When it failed last, in nanoseconds of the file system's own time; None if it has not.

        Only good to be compared with what it was before: clocks of machines differ.
        """
        try:
            return self.failure.stat().st_mtime_ns
        except OSError:
            return None

    def await_cost(self) -> None:
        """Notes that the run is not finished by its record alone.

        Raises:
            OSError: if that cannot be noted.
        """
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        self._unmeasured.touch()

    def finish(self) -> None:
        """Notes that nothing is left to do."""
        self._unmeasured.unlink(missing_ok=True)
