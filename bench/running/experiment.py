"""One cell of a grid: everything that its result depends on, and the name that follows from it."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.base import arguments, checksums, registry
from bench.base.errors import BenchError
from bench.results.run_files import RunFiles

# Arguments that say where and how fast, not what, or that follow from iterations and validations:
# they are no part of a run's identity.
COMPUTED_BY = ("engine", "recompute")  # on which last digits depend: part of the provenance
NOT_IDENTITY = ("data_root", "records", "num_workers", "iterations_per_epoch", *COMPUTED_BY)

# Arguments younger than the first records: at these values everything is as it was before.
NEUTRAL = {
    "augmentation": ((), []),
    "head": ("learned",),
    "train_ways": (None,),
    "split_by": ("student",),
    "windows": ((), []),
    "training_asks": ("same",),
}


@dataclass(frozen=True)
class Experiment:
    """An algorithm on a data set with one seed.

    Its key follows from all arguments, defaults included: where a default changes or an argument
    is added, it is another run.

    Attributes:
        suite: the suite it belongs to.
        dataset: file name of a data set in ``bench/data``.
        algorithm: file name of an algorithm in ``bench/algorithms``.
        iterations: meta-iterations to train for.
        validations: how often to validate; the best weights of these are tested.
        seed: of the initial weights and of the training episodes.
        judged_by: metric that weights and hyper-parameters are chosen by on validation episodes;
            None: the headline.
        data: arguments of the data module that differ from its defaults.
        learner: arguments of the algorithm that differ from its defaults.
        set_by_user: arguments that the user has set, as ``name=value``.
        chosen: how the hyper-parameters were chosen, in words; None: see
            :func:`bench.running.choices.describe`.
        tuned: what of the arguments is the best of trials, as in a record; None: nothing.
        remark: what tells it from its like when it is printed.
    """

    suite: str
    dataset: str
    algorithm: str
    iterations: int
    validations: int = 5
    seed: int = 0
    judged_by: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    learner: dict[str, Any] = field(default_factory=dict)
    set_by_user: tuple[str, ...] = ()
    chosen: str | None = None
    tuned: dict[str, Any] | None = None
    remark: str = ""

    def __post_init__(self):
        arguments.require_at_least(0, iterations=self.iterations)
        arguments.require_at_least(1, validations=self.validations)

    @property
    def iterations_per_epoch(self) -> int:
        """Meta-iterations between two validations."""
        return max(self.iterations // self.validations, 1)

    @cached_property
    def data_arguments(self) -> dict[str, Any]:
        """All arguments of the data module, defaults filled in.

        Raises:
            BenchError: for an unknown data set or argument.
        """
        own = {"seed": self.seed, "iterations_per_epoch": self.iterations_per_epoch}
        return registry.arguments("data", self.dataset, own | self.data)

    @cached_property
    def learner_arguments(self) -> dict[str, Any]:
        """All arguments of the algorithm, defaults filled in.

        Raises:
            BenchError: for an unknown algorithm or argument.
        """
        own = {"seed": self.seed} | self.learner
        if (weights := self.weights) and not checksums.is_checksum(weights):
            path = str(Path(weights).expanduser().absolute())  # for workers in other folders
            own["model_options"] = own["model_options"] | {"weights": path}
        return registry.arguments("algorithms", self.algorithm, own)

    @property
    def weights(self) -> str | None:
        """The file of weights to start from, or its checksum in an experiment of a record.

        Raises:
            BenchError: if it is no path.
        """
        options = self.learner.get("model_options")
        weights = options.get("weights") if isinstance(options, dict) else None
        if weights is not None and not isinstance(weights, str):
            raise BenchError(f"model_options.weights={weights!r:.60}: give the path of a file")
        return weights

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The record's ``experiment``: everything the result depends on, and its key.

        Raises:
            BenchError: for an argument that cannot be recorded.
        """
        data, learner = (
            {
                k: v
                for k, v in arguments.items()
                if k not in NOT_IDENTITY and v not in NEUTRAL.get(k, ())
            }
            for arguments in (self.data_arguments, self.learner_arguments)
        )
        if (weights := self.weights) is not None:
            options = learner["model_options"] | {"weights": _checksum(weights)}
            learner = learner | {"model_options": options}
        fields = asdict(self) | {"data": data, "learner": learner}
        if code := self._code():
            fields["code"] = code
        for words in ("chosen", "tuned", "remark", "set_by_user"):  # on which nothing depends
            del fields[words]
        if self.judged_by is None:  # as it was before there was a choice
            del fields["judged_by"]
        try:
            text = json.dumps(fields, sort_keys=True, default=list)
        except (TypeError, ValueError, RecursionError) as error:
            raise BenchError(
                f"an argument of {self.algorithm} or {self.dataset} cannot be recorded ({error}): "
                "give numbers, words, lists, and dicts from words"
            ) from None
        sizes = {n: self.data_arguments.get(n) for n in ("ways", "shots", "queries")}
        stem = [self.dataset, self.setting, self.algorithm, f"s{self.seed}"]
        key = "-".join([*stem, hashlib.sha256(text.encode()).hexdigest()[:8]])
        return json.loads(text) | sizes | {"key": key}

    def _code(self) -> dict[str, str]:
        """The version of each plug-in outside the package, on which the result depends too."""
        used = {"algorithms": self.algorithm, "data": self.dataset}
        if isinstance(model := self.learner.get("model"), str):
            used["models"] = model
        found = {name: registry.version(kind, name) for kind, name in used.items()}
        return {name: version for name, version in found.items() if version}

    @property
    def key(self) -> str:
        """A readable name that is unique to the fields, such as ``glyphs-5way-1shot-maml-...``."""
        return self.fields["key"]

    def files(self, out: Path) -> RunFiles:
        """Where its record, failure, checkpoints and lock lie in a results folder."""
        return RunFiles.locate(out, self.fields)

    @property
    def setting(self) -> str:
        """Ways and shots, such as ``5way-1shot``."""
        ways, shots = self.data_arguments.get("ways"), self.data_arguments.get("shots")
        return (f"{ways}way-" if ways else "") + ("varying" if shots is None else f"{shots}shot")

    def check(self) -> None:
        """Makes data module and algorithm, which refuse what they cannot have; reads no data.

        Raises:
            BenchError: names the argument.
        """
        data = registry.create("data", self.dataset, **self.data_arguments)
        learner = registry.create("algorithms", self.algorithm, **self.learner_arguments)
        learner.check_data(data)

    def __str__(self) -> str:
        order = f" order {self.learner['order']}" if "order" in self.learner else ""
        name = f"{self.dataset} {self.setting} {self.algorithm}{order} seed {self.seed}"
        return f"{name} ({self.remark})" if self.remark else name


def _checksum(weights: str) -> str:
    if checksums.is_checksum(weights):
        return weights
    try:
        return checksums.of_file(Path(weights).expanduser())
    except OSError as error:
        raise BenchError(
            f"model_options.weights={weights}: {error.strerror}: give a file of weights"
        ) from None
