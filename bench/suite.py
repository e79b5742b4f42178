"""Suites: the grids that people run, as data, and their expansion into experiments."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench import registry
from bench.errors import BenchError, nearest
from bench.experiment import Experiment


@dataclass(frozen=True)
class Study:
    """One data set with the algorithms to compare on it.

    Attributes:
        dataset: file name of a data set in ``bench/data``.
        algorithms: file name in ``bench/algorithms`` to the settings of its own, ``iterations``
            among them where it needs fewer.
        iterations: meta-iterations to train for.
        validations: how often to validate while training.
        ways: ways to try; empty where the data set has none.
        shots: shots to try.
        data: further arguments of the data module.
        learner: arguments for every algorithm that takes them.
        chosen: how the settings were chosen, in words; goes into the records.
        sweep: what ``tune`` tries: argument name to candidates.
        sweep_iterations: meta-iterations of each trial, the same for every algorithm.
    """

    dataset: str
    algorithms: Mapping[str, Mapping[str, Any]]
    iterations: int
    validations: int = 5
    ways: tuple[int, ...] = ()
    shots: tuple[int, ...] = (1,)
    data: Mapping[str, Any] = field(default_factory=dict)
    learner: Mapping[str, Any] = field(default_factory=dict)
    chosen: str = "set by hand"
    sweep: Mapping[str, tuple] = field(default_factory=dict)
    sweep_iterations: int = 0


@dataclass(frozen=True)
class Suite:
    """A grid of experiments whose records make one table.

    Attributes:
        name: as on the command line.
        description: one line.
        studies: the data sets, each with its algorithms.
        seeds: one run of everything for each.
    """

    name: str
    description: str
    studies: tuple[Study, ...]
    seeds: tuple[int, ...] = (0,)

    def experiments(
        self,
        algorithms: Iterable[str] | None = None,
        datasets: Iterable[str] | None = None,
        ways: Iterable[int] | None = None,
        shots: Iterable[int] | None = None,
        seeds: Iterable[int] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> list[Experiment]:
        """The grid, narrowed and changed as asked.

        Args:
            algorithms: only these; one that the suite does not list runs with the common settings.
            datasets: only these.
            ways: instead of the suite's.
            shots: instead of the suite's.
            seeds: instead of the suite's.
            settings: ``name`` or ``algorithm.name`` to value: an argument of the data module or of
                the algorithms, or ``iterations`` or ``validations``.

        Raises:
            BenchError: for names that nothing in the suite has.
        """
        studies = self.studies
        if datasets is not None:
            known = [s.dataset for s in studies]
            for name in datasets:
                if name not in known:
                    raise BenchError(
                        f"suite {self.name} has no data set {name!r}: {nearest(name, known)}"
                    )
            studies = tuple(s for s in studies if s.dataset in set(datasets))
        settings, used, found = dict(settings or {}), set(), []
        for study in studies:
            grid = itertools.product(
                (ways or study.ways) if study.ways else (None,),
                shots or study.shots,
                algorithms or study.algorithms,
                seeds or self.seeds,
            )
            for way, shot, algorithm, seed in grid:
                sizes = {"shots": shot} | ({"ways": way} if way is not None else {})
                found.append(self._experiment(study, algorithm, sizes, seed, settings, used))
        if unused := settings.keys() - used:
            name = sorted(unused)[0]
            known = {n for e in found for n in (*e.data_arguments, *e.learner_arguments)}
            raise BenchError(
                f"--set {name}: nothing in suite {self.name} has this argument: "
                f"{nearest(name.split('.')[-1], known | {'iterations', 'validations'})}"
            )
        return found

    def _experiment(self, study, algorithm, sizes, seed, settings, used) -> Experiment:
        cls = registry.load("algorithms", algorithm)
        takes = registry.option_names(cls)
        common = {k: v for k, v in study.learner.items() if k in takes}
        learner = common | dict(study.algorithms.get(algorithm, {}))
        data = dict(study.data) | sizes
        data_takes = registry.option_names(registry.load("data", study.dataset))
        run = {"iterations": study.iterations, "validations": study.validations}
        run = {name: learner.pop(name, value) for name, value in run.items()}
        for name, value in settings.items():
            owner, _, option = name.rpartition(".")
            if owner and owner != algorithm:
                continue
            for target, names in ((learner, takes), (data, data_takes), (run, run)):
                if option in names and option not in ("seed", "iterations_per_epoch"):
                    target[option] = value
                    used.add(name)
        if not cls.trains:
            run["iterations"] = 0
        chosen = study.chosen + (f"; set by the user: {', '.join(settings)}" if settings else "")
        return Experiment(
            suite=self.name,
            dataset=study.dataset,
            algorithm=algorithm,
            seed=seed,
            data=data,
            learner=learner,
            chosen=chosen,
            **run,
        )
