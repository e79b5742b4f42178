"""``maml-bench select``: compares policies on the test students of a trained learner."""

import json
from collections.abc import Sequence
from math import isfinite, nan
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.base.errors import BenchError
from bench.base.paths import write_text
from bench.data.students import responses
from bench.data.students.episodes import StudentEpisodes
from bench.data.students.recorded import RecordedStudents, notes_are_printed
from bench.learning.learner import MetaLearner
from bench.results import plots, tables
from bench.results.provenance import provenance
from bench.tasks.statistics import Interval, interval
from bench.tutor import checkpoints, posterior, reading, selection
from bench.tutor.given_students import GivenStudents
from bench.tutor.judgement import Settings
from bench.tutor.policies import check, served

STYLES = {
    "random": ("#7F7F7F", "v", ":"),
    "uncertainty": ("#E69F00", "^", ":"),
    "fisher": ("#D55E00", "s", "--"),
    "kli": ("#CC79A7", "D", "--"),
    "maat": ("#009E73", "P", "-."),
    "bayes": ("#0072B2", "o", "-"),
}
TITLES = {"auc": "AUC", "accuracy": "Accuracy"}
SCHEMA = 1


def select(
    paths: Sequence[Path],
    policies: Sequence[str] | None,
    counts: Sequence[int],
    students: int | None,
    seed: int,
    out: Path,
    data_root: Path | None,
    console: Console,
    answers: Path | None = None,
    randomesque: int = 1,
    until: Settings | None = None,
    columns: dict[str, str] | None = None,
) -> None:
    """Runs the policies, prints a table, and writes ``out/selection/<name>.json`` and ``.png``.

    Args:
        paths: a checkpoint of students, or several that make an ensemble.
        policies: keys of :data:`bench.tutor.policies.POLICIES`; None: all that the learners serve.
        counts: after how many questions to predict.
        students: how many test students, at most.
        seed: of the division of questions and of the random policy.
        out: the results folder.
        data_root: folder of prepared data.
        console: where to print.
        answers: a file with the students to ask; None: the test students of the data that the
            learners were trained on.
        randomesque: so many of the best questions are chosen from at random.
        until: when a student is known well enough to stop; None: not looked for.
        columns: of ``answers``, see :func:`bench.data.students.responses.read`.

    Raises:
        BenchError: if a checkpoint, or a policy for it, is not to be had.
    """
    if min(counts) < 1:
        raise BenchError(f"--questions {min(counts)}: give at least 1")
    if students is not None and students < 2:
        raise BenchError(f"--students {students}: give at least 2")
    if columns and answers is None:
        raise BenchError("--columns: goes with --answers FILE")
    if randomesque < 1:
        raise BenchError(f"--randomesque {randomesque}: give at least 1")
    with notes_are_printed():
        learners, data, experiments, sentences = _load(paths, data_root, answers, columns)
    policies = policies or served(learners)
    check(policies, learners)
    if until is not None and len(learners) == 1:
        posterior.require_ability(learners[0])
    for sentence in sentences:
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    counts = sorted(set(counts))
    division = selection.divide(data, counts[-1], students, seed)
    left_out = f", {division.left_out} with too few left out" if division.left_out else ""
    console.print(f"{len(division.students)} test students{left_out}")
    asked = {}
    for policy in dict.fromkeys(policies):
        with console.status(f"asking by {policy}"):
            asked[policy] = selection.ask(
                learners, data, division, policy, counts, seed, randomesque, until
            )
    keys = [e["key"] for e in experiments]
    record = {
        "schema": SCHEMA,
        "dataset": experiments[0]["dataset"],
        "synthetic": data.synthetic,
        "algorithms": sorted({e["algorithm"] for e in experiments}),
        "checkpoints": keys,
        "students": len(division.students),
        "left_out": division.left_out,
        "seed": seed,
        "questions": counts,
        "randomesque": randomesque,
        "until": until and {n: getattr(until, n) for n in ("mastery", "certainty", "width")},
        "policies": _figures(asked, data, division),
        "provenance": provenance(data=data.checksum),
    }
    stem = keys[0] + (f"-and-{len(keys) - 1}-more" if keys[1:] else "")
    path = Path(out) / "selection" / f"{stem}.json"
    write_text(path, json.dumps(record, indent=1, allow_nan=False) + "\n")
    plots.save(draw(record), path.with_suffix(".png"))
    print_table(record, console)
    for written in (path, path.with_suffix(".png")):
        console.print(f"wrote {written}", highlight=False)


def _load(
    paths: Sequence[Path],
    data_root: Path | None,
    answers: Path | None,
    columns: dict[str, str] | None,
) -> tuple[list[MetaLearner], StudentEpisodes | GivenStudents, list[dict[str, Any]], list[str]]:
    """The learners, the students to ask, what the learners are, and what was read."""
    if answers is None:
        learners, data, experiments = checkpoints.load(paths, data_root)
        if not isinstance(data, StudentEpisodes):
            raise BenchError(f"{experiments[0]['dataset']} has no questions to ask students")
        recorded = isinstance(data, RecordedStudents)
        if recorded and data.hparams["folds_from"] == "nothing":
            raise BenchError(
                f"{paths[0]} was trained on all students of its data, and nobody is left to test: "
                "give others with --answers FILE"
            )
        sentences = data.sentences() if recorded else []
        return learners, data, experiments, sentences
    learners, words = reading.load(paths)
    found = responses.read(answers, columns)
    known = reading.known(found, words, str(answers), skip=True)
    counts, order, *_ = found.sentences()
    experiments = [
        {"key": checkpoints.key(Path(p)), "dataset": "student", "algorithm": type(v).__name__}
        for p, v in zip(paths, learners)
    ]
    sentences = [f"Read {answers}: {counts}", order, *known.notes]
    return learners, GivenStudents(known, words), experiments, sentences


def _figures(
    asked: dict[str, selection.Asked], data: StudentEpisodes, division: selection.Division
) -> dict[str, dict[str, Any]]:
    item = data.sequences("test", division.students).item[:, : division.meta.shape[1]]
    items = len(np.unique(item[division.selectable]))
    random = asked.get("random")
    return {
        name: {
            **_plain(selection.curves(one, random if one is not random else None)),
            "exposure": selection.exposure(np.take_along_axis(item, one.order, 1), items),
            "stopped": None if one.sure is None else _stopped(one),
        }
        for name, one in asked.items()
    }


def _stopped(asked: selection.Asked) -> dict[str, Any]:
    """What comes of asking each student until they are known well enough, or to the end."""
    questions = np.where(asked.sure > 0, asked.sure, asked.order.shape[1])
    found = {"questions": interval(questions), "sure": interval((asked.sure > 0).astype(float))}
    return _plain(found | {name: interval(row) for name, row in asked.stopped.items()})


def _plain(value):
    """Intervals in words, as in records of runs: what is not a number is None."""
    if isinstance(value, Interval):
        return {n: v if isfinite(v) else None for n, v in zip(("mean", "ci95"), value)}
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value]


def _interval(figure: dict[str, float | None]) -> Interval:
    return Interval(*(nan if v is None else v for v in (figure["mean"], figure["ci95"])))


# Table and figure -------------------------------------------------------------------------------


def print_table(record: dict[str, Any], console: Console) -> None:
    """Prints both metrics after each number of questions, and how evenly items are used."""
    made_up = " (synthetic)" if record["synthetic"] else ""
    for metric, title in TITLES.items():
        console.print(Text(f"{record['dataset']}{made_up}, {_who(record)}: {title}", style="bold"))
        grid = Table(box=None, pad_edge=False)
        grid.add_column("selection")
        for n in record["questions"]:
            grid.add_column("1 question" if n == 1 else f"{n} questions", justify="right")
        for name, found in record["policies"].items():
            grid.add_row(
                name, *(tables.figure(metric, *_interval(p["value"])) for p in found[metric])
            )
            ahead = [p.get("ahead") for p in found[metric]]
            if all(ahead):
                words = [tables.figure(metric, *_interval(a), sign=True) for a in ahead]
                grid.add_row("  ahead of random", *words, style="dim")
        console.print(grid, "")
    grid = Table(box=None, pad_edge=False)
    for heading in ("selection", "most used item", "chi-square", "overlap"):
        grid.add_column(heading, justify="left" if heading == "selection" else "right")
    for name, found in record["policies"].items():
        used = found["exposure"]
        most, overlap = (f"{100 * used[n]:.0f} %" for n in ("max", "overlap"))
        grid.add_row(name, most, f"{used['chi_square']:.2f}", overlap)
    console.print(grid)
    if until := record["until"]:
        words = f"Asked until each skill is judged or known to {until['width']:g}, "
        words += f"{record['questions'][-1]} questions at most"
        console.print("", Text(words, style="bold"), _stopping_table(record), sep="\n")
    console.print(
        Text(
            "On 20 % of each student's questions, which are never asked. ± is a 95 % interval over "
            "students; ahead of random is paired by student. Most used item: share of students it "
            "is asked of; chi-square: unevenness of these shares, 0 if even; overlap: share of "
            "questions that two students have in common.",
            style="dim",
        )
    )


def _stopping_table(record: dict[str, Any]) -> Table:
    grid = Table(box=None, pad_edge=False)
    for heading in ("selection", "questions", "known by then", *TITLES.values()):
        grid.add_column(heading, justify="left" if heading == "selection" else "right")
    for name, found in record["policies"].items():
        stopped = {n: _interval(v) for n, v in found["stopped"].items()}
        metrics = [tables.figure(metric, *stopped[metric]) for metric in TITLES]
        share = f"{100 * stopped['sure'].mean:.0f} %"
        grid.add_row(name, f"{stopped['questions'].mean:.1f}", share, *metrics)
    return grid


def draw(record: dict[str, Any]) -> Figure:
    """Both metrics against the number of questions asked, one line a policy."""
    figure = Figure(figsize=(6.8, 3.5), layout="constrained")
    made_up = " (synthetic)" if record["synthetic"] else ""
    figure.suptitle(
        f"Questions asked one after the other\n{record['dataset']}{made_up}, {_who(record)}",
        fontsize=10,
    )
    for axes, (metric, title) in zip(figure.subplots(1, 2), TITLES.items()):
        for i, (name, found) in enumerate(record["policies"].items()):
            color, marker, line = STYLES[name]
            mean, half = np.array([_interval(p["value"]) for p in found[metric]]).T
            axes.errorbar(
                np.array(record["questions"]) * 1.03**i,  # side by side, so that all can be seen
                mean,
                half,
                color=color,
                marker=marker,
                linestyle=line,
                label=name,
                markersize=4.5,
                capsize=2,
                elinewidth=0.8,
            )
        axes.set_xscale("log")
        axes.set_xticks(record["questions"], map(str, record["questions"]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("questions asked", fontsize=8)
        axes.set_ylabel(f"{title}, higher is better", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(color="#E5E5E5", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        if metric == "accuracy":
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")
    handles = axes.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def _who(record: dict[str, Any]) -> str:
    names = ", ".join(record["algorithms"])
    count = len(record["checkpoints"])
    return names if count == 1 else f"{count} checkpoints of {names}"
