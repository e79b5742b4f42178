"""What ``compare`` runs on a source within a budget of time: a suite made in memory.

The plan is a function of what was read and what was asked for, never of how fast this machine
happened to be, so that the same command goes on with the same runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from bench.base import registry
from bench.base.errors import BenchError
from bench.running import search_space
from bench.running.comparison.source import Source, counted
from bench.running.suite import Study, Suite
from bench.tasks import kinds

VALIDATIONS = 5
FEW = 100  # students: below, three or five to validate on tell nothing of a rate
RUN_SECONDS = 1.0  # of a run besides its iterations, on one core
SPARE = 0.8  # share of the budget that is planned: estimates are off, and words are made at the end


class Method(NamedTuple):
    """A method as it stands in a comparison.

    Attributes:
        algorithm: its file name.
        tier: 0 is compared whatever the budget, 2 where there is time to spare.
        fixed: milliseconds of a meta-iteration on one core, whatever the data.
        by_size: further milliseconds for each 1,000 rows of answers, or million pixels, in it.
        learner: arguments other than its defaults.
        needs: ``"skills"`` or ``"order"`` of the answers.
        few: further arguments where students are :data:`FEW`.
    """

    algorithm: str
    tier: int
    fixed: float
    by_size: float
    learner: dict[str, Any] = {}
    needs: str = ""
    few: dict[str, Any] = {}


NEEDS = {
    "skills": "the skills of questions (a column skill_id, or --q-matrix FILE)",
    "order": "an order of time that is not the same for all students (a column order_id or "
    "timestamp)",
}
WITH_PRIOR = {"model": "bayesian_mlp", "inner_loss": "shrunk"}  # for however few students
PERCEPTRON = WITH_PRIOR | {"inner_lr": 0.3, "inner_steps": 3, "outer_lr": 3e-3}
ONE_ABILITY = {"model_options": {"dimensions": 1}}  # few students do not tell several apart
# Times were measured on one core of two, with 640 and 4,160 rows in a meta-batch.
STUDENTS = (
    Method("item_mean", 0, 3, 1),
    Method("rasch", 0, 4, 2),
    Method("two_pl", 0, 4, 2),
    Method("bilevel_irt", 0, 8, 1.5, few=ONE_ABILITY),
    Method("first_order_bilevel_irt", 0, 8, 1.5, few=ONE_ABILITY),
    Method("bkt", 0, 5, 5, needs="order"),
    Method("dkt", 1, 6, 10, needs="order"),
    Method("logitdec", 1, 4, 2.5),
    Method("skill_running_mean", 1, 3, 1, needs="skills"),
    Method("maml", 1, 14, 5, PERCEPTRON),
    Method("fomaml", 1, 11, 3, PERCEPTRON),
    Method("meta_sgd", 2, 8, 2.5, WITH_PRIOR),
    Method("anil", 2, 7, 1),
    Method("cavia", 2, 6, 3),
    Method("cnp", 2, 5, 6),
)
IMAGES = (
    Method("maml", 0, 20, 60),
    Method("fomaml", 0, 12, 40),
    Method("proto_net", 0, 8, 15),
    Method("random_init", 0, 0, 0),
    Method("baseline", 1, 8, 15),
    Method("r2d2", 1, 10, 15),
    Method("anil", 1, 10, 20),
    Method("proto_maml", 2, 20, 60),
    Method("meta_sgd", 2, 20, 60),
    Method("boil", 2, 20, 60),
)
METHODS = {"answers": STUDENTS, "classification": IMAGES}
OTHER = Method("", 0, 12, 5)  # of what is not listed above
SMALL = {"filters": 32}
LARGE = SMALL | {"downsample": "stride"}  # a fifth of max-pooling's work
LARGE_FROM = 40 * 40  # pixels


class Level(NamedTuple):
    """How much is done for each method: trials and their iterations, and those of the runs."""

    trials: int
    trial_iterations: int
    iterations: int


LEVELS = {
    "answers": (Level(8, 400, 1000), Level(8, 250, 600), Level(4, 200, 400), Level(2, 150, 300)),
    "classification": (
        Level(8, 300, 1500),
        Level(4, 150, 900),
        Level(4, 100, 400),
        Level(2, 60, 200),
    ),
}


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        suite: the grid.
        trials: of each method, for its hyper-parameters; 1: none, the defaults are taken.
        seconds: an estimate, with ``at_once`` runs at a time.
        left_out: methods that the budget has no room for.
        over: whether even the least takes longer than the budget.
    """

    suite: Suite
    trials: int
    seconds: float
    left_out: tuple[str, ...]
    over: bool

    def sentences(self) -> list[str]:
        """What is run, for the user."""
        studies = self.suite.studies
        names = dict.fromkeys(n for study in studies for n in study.algorithms)
        runs = len(self.suite.experiments())
        how = f"{self.trials} trials of {studies[0].trial_iterations} iterations on validation"
        found = [
            f"Plan: {counted(len(names), 'method')} ({', '.join(names)}).",
            f"{how if self.trials > 1 else 'No tuning: the defaults'}; "
            f"{counted(runs, 'run')} of {studies[0].iterations} iterations; "
            f"{_minutes(self.seconds)}.",
        ]
        if self.left_out:
            found.append(f"No time for {', '.join(self.left_out)}: --budget or --methods has them.")
        if self.over:
            found.append("This is more than the budget: less would say nothing.")
        return found


def plan(
    source: Source, minutes: float, at_once: int = 1, methods: Sequence[str] | None = None
) -> Plan:
    """The richest plan that fits a budget.

    Args:
        source: what was read.
        minutes: the budget.
        at_once: how many runs are done at a time.
        methods: names of algorithms; None: those that are for this kind of data.

    Raises:
        BenchError: for a budget of no time, or methods that are not for this kind of data.
    """
    if not 0 < minutes < float("inf"):
        raise BenchError(f"--budget {minutes}: give minutes above 0")
    fitting = _fitting(source)
    chosen = [_method(name, source) for name in dict.fromkeys(methods or ())]
    levels = LEVELS[source.kind]
    if _few(source):
        levels = tuple(dict.fromkeys(level._replace(trials=1) for level in levels))
    if chosen:
        tiers = [(chosen, level) for level in levels]
    else:
        tier = [[m for m in fitting if m.tier <= n] for n in range(3)]
        tiers = [(tier[2], levels[0]), (tier[2], levels[1])]
        tiers += [(tier[1], level) for level in levels[1:]]
        tiers += [(tier[0], level) for level in levels[-2:]]
    budget = 60 * minutes * SPARE
    for some, level in tiers:
        seconds = sum(_seconds(m, source, level) for m in some) / at_once
        if seconds <= budget:
            break
    left_out = [m.algorithm for m in fitting if not chosen and m not in some]
    if not any(search_space.of(m.algorithm) for m in some):
        level = level._replace(trials=1)
    suite = _suite(source, some, level)
    return Plan(suite, level.trials, seconds, tuple(left_out), seconds > budget)


def _few(source: Source) -> bool:
    return source.students is not None and source.students < FEW


def _fitting(source: Source) -> list[Method]:
    return [m for m in METHODS[source.kind] if _has(source, m.needs)]


def _has(source: Source, needs: str) -> bool:
    return {"": True, "skills": source.skills, "order": source.in_order}[needs]


def _method(name: str, source: Source) -> Method:
    """A method that the user names.

    Raises:
        BenchError: if there is none, or it is not for these data.
    """
    name = registry.add("algorithms", name).replace("-", "_")
    declared = registry.declaration("algorithms", name)
    kinds.check(name, declared.attributes.get("kinds"), source.kind, source.name)
    if declared.attributes.get("role") == "ceiling":
        raise BenchError(f"{name} knows how made-up students were made: it is no method to choose")
    listed = {m.algorithm: m for m in METHODS[source.kind]}
    method = listed.get(name, OTHER._replace(algorithm=name))
    if not _has(source, method.needs):
        raise BenchError(
            f"{name} needs {NEEDS[method.needs]}: {source.name} has none; leave it out"
        )
    return method


def _suite(source: Source, methods: Sequence[Method], level: Level) -> Suite:
    """One study for each fold, so that each is tuned on its own validation students."""
    learner: dict[str, Any] = {"outer_schedule": "cosine"}
    if source.kind == "classification":
        large = source.inputs >= LARGE_FROM
        learner |= {"model_options": LARGE if large else SMALL, "outer_lr": 3e-3, "test_steps": 3}
    study = Study(
        dataset=source.dataset,
        algorithms={m.algorithm: m.learner | (m.few if _few(source) else {}) for m in methods},
        iterations=level.iterations,
        validations=VALIDATIONS,
        ways=(source.ways,) if source.ways else (),
        shots=source.shots,
        data=dict(source.data),
        learner=learner,
        trial_iterations=level.trial_iterations,
    )
    studies = (study,)
    if source.folds > 1:
        studies = tuple(replace(study, repeats=({"fold": fold},)) for fold in range(source.folds))
    judge = "nll" if source.kind == "answers" else None  # the verdict's
    return Suite(source.suite, f"the methods on {source.name}", studies, judged_by=judge)


def _seconds(method: Method, source: Source, level: Level) -> float:
    """An estimate of what a method takes on one core, trials and all folds or shots included."""
    tasks = source.data["tasks_per_batch"]
    size = tasks * source.rows * (source.inputs / 1e6 if source.kind != "answers" else 1e-3)
    iteration = (method.fixed + method.by_size * size) / 1000
    # without gradients, and several tasks at a time, an episode takes a third
    episodes = source.data["val_episodes"] * source.views / tasks / 3
    if source.students:
        episodes = min(episodes, source.students * source.views / tasks / 3)
    test = source.test_tasks * source.views / tasks / 3
    trained = registry.declaration("algorithms", method.algorithm).attributes["trains"]
    run = RUN_SECONDS + (level.iterations * trained + VALIDATIONS * episodes + test) * iteration
    trials = level.trials if level.trials > 1 and search_space.of(method.algorithm) else 0
    work = level.trial_iterations * trained + (VALIDATIONS + 1) * episodes
    trial = RUN_SECONDS + work * iteration
    return source.folds * (len(source.shots) if source.ways else 1) * (run + trials * trial)


def _minutes(seconds: float) -> str:
    """A time in words.

    >>> _minutes(20), _minutes(200)
    ('less than a minute', 'about 3 minutes')
    """
    if seconds < 50:
        return "less than a minute"
    minutes = max(round(seconds / 60), 1)
    return f"about {counted(minutes, 'minute')}"
