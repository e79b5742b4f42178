"""Suites: the grids that people run, as data, and their expansion into experiments."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.base import registry
from bench.base.errors import BenchError, nearest
from bench.running import choices
from bench.running.experiment import Experiment
from bench.tasks import kinds

# arguments that have a flag of their own, or follow from the length of the run
GRID_FLAGS = {
    "seed": "--seeds",
    "ways": "--ways",
    "shots": "--shots",
    "iterations_per_epoch": "validations",
}
SOURCES = {"train_datasets": "--train-datasets", "test_datasets": "--test-datasets"}
# from the trial with the suite's own values to what a record says as ``tuned``, or None
Tuned = Callable[[Experiment], dict[str, Any] | None]


@dataclass(frozen=True)
class Study:
    """One data set with the algorithms to compare on it.

    Attributes:
        dataset: file name of a data set in ``bench/data``.
        algorithms: file name in ``bench/algorithms`` to the settings of its own, ``iterations``
            among them where it needs fewer.
        iterations: meta-iterations to train for.
        validations: how often to validate while training.
        ways: ways to try; empty where the data set has none, None where they vary.
        shots: shots to try; None where they vary.
        data: further arguments of the data module.
        repeats: arguments of the data module for runs that are averaged, such as folds or versions.
        learner: arguments for every algorithm that takes them.
        sweep: what ``tune`` tries without ``--trials``: argument name to candidates.
        trial_iterations: meta-iterations of each trial, the same for every algorithm; None: as many
            as ``iterations``.
        seeds: one run for each; empty: for each of the suite's.
    """

    dataset: str
    algorithms: Mapping[str, Mapping[str, Any]]
    iterations: int
    validations: int = 5
    ways: tuple[int | None, ...] = ()
    shots: tuple[int | None, ...] = (1,)
    data: Mapping[str, Any] = field(default_factory=dict)
    repeats: tuple[Mapping[str, Any], ...] = ({},)
    learner: Mapping[str, Any] = field(default_factory=dict)
    sweep: Mapping[str, tuple] = field(default_factory=dict)
    trial_iterations: int | None = None
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Suite:
    """A grid of experiments whose records make one table.

    Attributes:
        name: as on the command line.
        description: one line.
        studies: the data sets, each with its algorithms.
        seeds: one run of everything for each.
        judged_by: metric that weights and hyper-parameters are chosen by; None: the headline.
    """

    name: str
    description: str
    studies: tuple[Study, ...]
    seeds: tuple[int, ...] = (0,)
    judged_by: str | None = None

    def experiments(
        self,
        algorithms: Iterable[str] | None = None,
        datasets: Iterable[str] | None = None,
        ways: Iterable[int] | None = None,
        shots: Iterable[int] | None = None,
        seeds: Iterable[int] | None = None,
        settings: Mapping[str, Any] | None = None,
        tuned: Tuned | None = None,
    ) -> list[Experiment]:
        """The grid, narrowed and changed as asked.

        Args:
            algorithms: only these; one that no study lists runs on all with the common settings.
            datasets: only these.
            ways: instead of the suite's; those that one study of a data set lists, in that alone.
            shots: likewise.
            seeds: instead of the suite's.
            settings: ``name`` or ``algorithm.name`` to value: an argument of the data module or of
                the algorithms, or ``iterations`` or ``validations``; ``model_options.name`` is one
                of the model's.
            tuned: gives the values that tuning has found, by the trial with the suite's own
                values; what ``settings`` say comes before them.

        Raises:
            BenchError: for names that nothing in the suite has.
        """
        settings, used, found = dict(settings or {}), set(), []
        for name in settings:
            option = _parts(name)[1]
            if option in GRID_FLAGS:
                raise BenchError(f"--set {name}: use {GRID_FLAGS[option]}")
        for study, algorithm, sizes in self.cells(algorithms, datasets, ways, shots):
            best = tuned(self.first_trial(study, algorithm, sizes)) if tuned else None
            for repeat, seed in itertools.product(
                study.repeats, dict.fromkeys(seeds or self.seeds_of(study))
            ):
                found.append(
                    self._experiment(study, algorithm, sizes, repeat, seed, settings, used, best)
                )
        if not found:
            raise BenchError(f"nothing of suite {self.name} is left to run with these flags")
        if unused := settings.keys() - used:
            name = sorted(unused)[0]
            known = {n for e in found for n in (*e.data_arguments, *e.learner_arguments)}
            known = (known | {"iterations", "validations"}) - GRID_FLAGS.keys()
            if name in SOURCES:
                raise BenchError(f"{SOURCES[name]}: nothing in suite {self.name} has sources")
            raise BenchError(
                f"--set {name}: nothing in suite {self.name} has this argument: "
                f"{nearest(name.split('.')[-1], known)}"
            )
        return list({e.key: e for e in found}.values())  # a setting may undo what repeats differ in

    def seeds_of(self, study: Study) -> tuple[int, ...]:
        """A study's own seeds, or those of all."""
        return study.seeds or self.seeds

    def cells(
        self,
        algorithms: Iterable[str] | None = None,
        datasets: Iterable[str] | None = None,
        ways: Iterable[int] | None = None,
        shots: Iterable[int] | None = None,
    ) -> list[tuple[Study, str, dict[str, Any]]]:
        """Each algorithm of each study at each size: its name, and the arguments of the data.

        Args and raises: see :meth:`experiments`.
        """
        studies = self.studies
        if datasets is not None:
            known = [s.dataset for s in studies]
            datasets = [registry.add("data", name).replace("-", "_") for name in datasets]
            others = [n for n in datasets if n not in known and registry.version("data", n)]
            studies = (*studies, *(self._like(name) for name in others))
            known += others
            for name in datasets:
                if name not in known:
                    raise BenchError(
                        f"suite {self.name} has no data set {name!r}: {nearest(name, known)}"
                    )
            studies = tuple(s for s in studies if s.dataset in set(datasets))
        if ways and not any(study.ways for study in studies):
            raise BenchError(f"--ways {' '.join(map(str, ways))}: nothing here has classes")
        algorithms = [registry.add("algorithms", n).replace("-", "_") for n in algorithms or ()]
        for name in algorithms:
            registry.declaration("algorithms", name)  # a misspelt name, before anything runs
            if datasets is not None or not any(_fits(name, study) for study in studies):
                for study in studies:
                    self._check(name, study)
        listed = {name for study in studies for name in study.algorithms}
        found = []
        for study in studies:
            # a name narrows each study; one that no study lists is added to all that it is for
            named = [n for n in algorithms if n in study.algorithms or n not in listed]
            named = [n for n in named if _fits(n, study)]
            same = [s for s in studies if s.dataset == study.dataset]
            for way, shot, algorithm in itertools.product(
                _sizes(ways, "ways", study, same) if study.ways else (None,),
                _sizes(shots, "shots", study, same),
                dict.fromkeys(named if algorithms else study.algorithms),
            ):
                sizes = {"shots": shot} | ({"ways": way} if way is not None else {})
                found.append((study, algorithm, sizes))
        return found

    def _like(self, dataset: str) -> Study:
        """A study of a data set from outside, like the suite's first on tasks of its kind.

        Raises:
            BenchError: if the suite has none of that kind.
        """
        kind = kinds.kind_of(dataset)
        takes = registry.option_names("data", dataset)
        for study in self.studies:
            if kinds.kind_of(study.dataset) == kind:
                return replace(
                    study,
                    dataset=dataset,
                    data={n: v for n, v in study.data.items() if n in takes},
                    ways=study.ways if "ways" in takes else (),
                    repeats=({},),
                    sweep={},
                )
        raise BenchError(f"suite {self.name} has no tasks of the kind of {dataset}: {kind}")

    def _check(self, algorithm: str, study: Study) -> None:
        declared = registry.declaration("algorithms", algorithm).attributes
        kind = kinds.kind_of(study.dataset)
        kinds.check(algorithm, declared.get("kinds"), kind, study.dataset)

    def first_trial(self, study: Study, algorithm: str, sizes: Mapping[str, Any]) -> Experiment:
        """The trial with the suite's own values: what tuning starts from, and is known by.

        Args:
            study: of the suite.
            algorithm: its name.
            sizes: ways and shots, as arguments of the data module.
        """
        length = study.iterations if study.trial_iterations is None else study.trial_iterations
        trial = self._experiment(
            study,
            algorithm,
            sizes,
            study.repeats[0],
            self.seeds_of(study)[0],
            {"iterations": length},
            set(),
            None,
        )
        return replace(trial, suite=choices.tuning_of(self.name), set_by_user=())

    def _experiment(
        self, study, algorithm, sizes, repeat, seed, settings, used, best
    ) -> Experiment:
        takes = registry.option_names("algorithms", algorithm)
        common = {k: v for k, v in study.learner.items() if k in takes}
        learner = common | dict(study.algorithms.get(algorithm, {}))
        data = {**study.data, **sizes, **repeat}
        data_takes = registry.option_names("data", study.dataset)
        run = {"iterations": study.iterations, "validations": study.validations}
        run = {name: learner.pop(name, value) for name, value in run.items()}
        values, words = dict(best["values"] if best else {}), {}

        places = {algorithm: [(learner, takes), (run, run), (data, data_takes)]}
        places.setdefault(study.dataset, [(data, data_takes)])
        places[""] = places[algorithm]
        applied = []
        # what is said of one alone comes after what is said of all, and holds
        for name, value in sorted(settings.items(), key=lambda given: _parts(given[0])[0] != ""):
            owner, option, part = _parts(name)
            found = [a for a, names in places.get(owner.replace("-", "_"), ()) if option in names]
            if not owner and len(found) > 1:
                raise BenchError(
                    f"--set {option}: both {study.dataset} and {algorithm} have this argument: "
                    f"write {study.dataset}.{option} or {algorithm}.{option}"
                )
            if found:
                used.add(name)
                applied.append((found[0], option, part, value))
                words[option, part] = _in_words(option, part, value)
                values.pop(option, None)
        for name, value in values.items():
            for arguments, names in places[""]:
                if name in names:
                    arguments[name] = value
        for arguments, option, part, value in applied:
            whole = dict(arguments.get(option) or {}) | {part: value} if part else value
            arguments[option] = whole
        if not registry.declaration("algorithms", algorithm).attributes["trains"]:
            run["iterations"] = 0
        return Experiment(
            suite=self.name,
            dataset=study.dataset,
            algorithm=algorithm,
            seed=seed,
            judged_by=self.judged_by,
            data=data,
            learner=learner,
            remark=", ".join(f"{n} {data[n]}" for n in repeat),
            set_by_user=tuple(words.values()),
            tuned=best | {"values": values} if values else None,
            **run,
        )


def _sizes(given: Iterable[int] | None, name: str, study: Study, same: list[Study]) -> list:
    """The ways or shots of a study: its own, or of those given its own and what no study lists.

    Args:
        given: by the user; None: nothing.
        name: ``ways`` or ``shots``.
        study: one of them.
        same: the studies of its data set.
    """
    own = getattr(study, name)
    listed = {size for other in same for size in getattr(other, name)}
    wanted = own if given is None else [n for n in given if n in own or n not in listed]
    return list(dict.fromkeys(wanted))


def _fits(algorithm: str, study: Study) -> bool:
    return kinds.fits(algorithm, kinds.kind_of(study.dataset))


def _in_words(option: str, part: str, value: Any) -> str:
    if part == "weights":  # no path: the record has the checksum
        value = Path(str(value)).name
    return f"{option}.{part}={value}" if part else f"{option}={value}"


def _parts(name: str) -> tuple[str, str, str]:
    """Owner, argument and option of a setting, empty where it names none.

    >>> _parts("maml.order"), _parts("maml.model_options.norm"), _parts("model_options.norm")
    (('maml', 'order', ''), ('maml', 'model_options', 'norm'), ('', 'model_options', 'norm'))
    """
    owner, _, option = name.rpartition(".")
    before, _, last = owner.rpartition(".")
    return (before, last, option) if last == "model_options" else (owner, option, "")
