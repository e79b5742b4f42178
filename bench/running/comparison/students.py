"""Students: which of their answers are shown and asked for, and whether there are folds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.base import registry
from bench.base.errors import BenchError
from bench.running.comparison.source import Source, counted, short

SHOWN = (1, 3, 5, 10, 25)  # numbers of answers after which predictions are compared
ASKED = 5  # answers that a student must have left after those shown to count
ENOUGH = 500  # students, or half of them where there are fewer, must have so many
QUERIES = 40  # answers asked for, at most
FOLDS = 5
# Below this, a fifth of the students are fewer than 120. The difference of two methods' log-loss
# has a standard deviation of about .08 over students, so that its interval would be wider than
# +-.015, which is more than good methods differ by.
FOLDS_BELOW = 600
LEAST_STUDENTS = 2 * FOLDS
SEVERAL_VALIDATE = 0.25  # share of the others that validates where students are few
MOST_VALIDATE = 300
FIXED_ORDER = 0.9  # share of the variance of places in time that which question it is explains
SYNTHETIC_TEST = 1000  # students: they are drawn by a program, without end


def read(
    dataset: str,
    own: dict[str, Any],
    name: str,
    shots: Sequence[int] | None,
    data_root: Path | None,
    ways: int | None,
) -> Source:
    """The source of answers.

    Args:
        dataset: the data set that reads them.
        own: its arguments that say which file.
        name: of the comparison.
        shots: answers shown, as the user asks for; None: those of the usual that the data allows.
        data_root: folder of prepared data; None: the usual one.
        ways: refused: it is for images.

    Raises:
        BenchError: what is wrong with the files, or cannot be had with them.
    """
    if ways is not None:
        raise BenchError(f"--ways {ways}: is for images; answers are right or wrong")
    takes = registry.option_names("data", dataset)
    root = {"data_root": str(data_root)} if data_root and "data_root" in takes else {}
    if "folds_from" not in takes:
        return _made_up_students(dataset, name, shots, root)
    return _recorded_students(dataset, own, name, shots, root)


def _recorded_students(
    dataset: str,
    own: dict[str, Any],
    name: str,
    shots: Sequence[int] | None,
    root: dict[str, str],
) -> Source:
    """Students of files, in folds where they are few."""
    first = registry.create("data", dataset, **own, **root)
    responses = first.responses
    lengths = np.minimum(np.diff(responses.starts), first.hparams["most_answers"])
    usable = int((lengths >= 2).sum())
    if usable < LEAST_STUDENTS:
        raise BenchError(
            f"{name}: {counted(usable, 'student')} with two answers or more, of "
            f"{len(lengths)}: a comparison needs {LEAST_STUDENTS} or more, some to learn from and "
            "others to predict"
        )
    enough = min(ENOUGH, -(-usable // 2))
    tested = _shown(int(np.sort(lengths)[-enough]), int(lengths.max()), shots)
    ordered, why = _order(responses)
    data = own | _protocol(ordered, tested, QUERIES)
    data["training_asks"] = "following"  # all that few students have answered is learned from
    folds = FOLDS if first.hparams["folds_from"] == "seed" and usable < FOLDS_BELOW else 1
    if folds > 1:
        data |= {"folds": folds, "val_share": SEVERAL_VALIDATE}
    trained = usable * (FOLDS - 1) / FOLDS * (1 - (data.get("val_share") or 0.15))
    data["tasks_per_batch"] = int(np.clip(2 ** int(np.log2(max(trained, 1))), 8, 64))
    made = registry.create("data", dataset, **data, shots=tested[-1], **root)
    counts, *others = responses.sentences()
    share = f"each of {folds} parts of the students in turn" if folds > 1 else "the test students"
    asked = min(QUERIES, int(lengths.max()) - tested[-1])
    said = [
        f"Read {', '.join(map(str, np.atleast_1d(own.get('source', name))))}: {counts}",
        *([f"Columns: {responses.columns}."] if responses.columns else []),
        *others,
        *_division(responses),
        f"Shown: {_answers(tested, ordered)} of a student{'' if ordered else ', drawn at random'}"
        f"{why}; asked for: up to {counted(asked, 'other')}.",
        f"Tested: {share}, by models that have not seen them ({len(made.students['test']):,} of "
        f"{usable:,}{' in the first part' if folds > 1 else ''}).",
    ]
    return Source(
        name=name,
        suite=f"compare-{name}-{short(first.checksum)}",
        dataset=dataset,
        kind="answers",
        data=data,
        shots=(tested[-1],),
        folds=folds,
        rows=int(min(np.median(lengths), tested[-1] + data["queries"])),
        inputs=made.spec.input_shape[0],
        skills=made.skills > 0,
        students=usable,
        views=len(tested),
        test_tasks=len(made.students["test"]),
        data_root=Path(root["data_root"]) if root else None,
        said=tuple(said),
    )


def _made_up_students(
    dataset: str, name: str, shots: Sequence[int] | None, root: dict[str, str]
) -> Source:
    """Students without a file of answers: drawn by a program, or with a split of their own."""
    takes = registry.option_names("data", dataset)
    usual = registry.arguments("data", dataset, {})
    most = usual["items"] if "items" in usual else usual["shots"] + 1
    tested = _shown(most // 2 + ASKED, most, shots)
    known = {study.dataset: study.data for study in registry.load("suites", "students").studies}
    learns = known.get(dataset, {}).get("protocol") == "first"
    data = _protocol(learns, tested, min(25, most - tested[-1])) | {"tasks_per_batch": 64}
    if "items" in takes:
        data["test_episodes"] = SYNTHETIC_TEST
    made = registry.create("data", dataset, **data, shots=tested[-1], **root)
    made.setup("fit")  # reads what has files, so that a set that is not prepared is refused now
    version = ""
    if "version" in usual:
        version = f", version {usual['version']} (the others are not compared)"
    tested_students = max(view.episodes or 0 for view in made.views("test"))
    return Source(
        name=name,
        suite=f"compare-{name}",
        dataset=dataset,
        kind="answers",
        data=data,
        shots=(tested[-1],),
        rows=tested[-1] + data["queries"],
        inputs=made.spec.input_shape[0],
        skills=made.skills > 0,
        views=len(tested),
        test_tasks=tested_students,
        data_root=Path(root["data_root"]) if root else None,
        said=(
            f"{name}{version}: made-up students, {made.items:,} items, "
            f"{made.skills or 'no'} skills; {tested_students:,} are tested.",
            f"Shown: {_answers(tested, learns)} of a student; "
            f"asked for: {counted(data['queries'], 'other')}.",
        ),
    )


def _protocol(ordered: bool, tested: tuple[int, ...], queries: int) -> dict[str, Any]:
    """Arguments of a data module: which answers are shown, and how many are asked for."""
    return {
        "protocol": "first" if ordered else "random",
        "tested_shots": tested,
        "queries": queries,
        "val_episodes": MOST_VALIDATE,
    }


def _shown(usual: int, most: int, asked: Sequence[int] | None) -> tuple[int, ...]:
    """The numbers of answers shown: those that leave enough students some to predict.

    Args:
        usual: answers that enough students gave.
        most: of the one with the most.
        asked: by the user.

    Raises:
        BenchError: if nobody has so many answers.
    """
    if asked:
        tested = tuple(sorted(set(asked)))
        if tested[0] < 1 or tested[-1] >= most:
            raise BenchError(
                f"--shots {' '.join(map(str, asked))}: nobody has more than {most} answers, and "
                f"one at least must be left to predict: give numbers from 1 to {most - 1}"
            )
        return tested
    return tuple(n for n in SHOWN if n + ASKED <= usual) or (1,)


def _answers(tested: tuple[int, ...], ordered: bool) -> str:
    """The answers shown, in words."""
    if not ordered:
        return counted(tested, "answer")
    return "the first answer" if tested == (1,) else f"the first {counted(tested, 'answer')}"


def _division(responses: Any) -> list[str]:
    """What is said where the files divide answers themselves, which no comparison keeps to."""
    if responses.split is None:
        return []
    lengths, own = np.diff(responses.starts), responses.split[responses.starts[:-1]]
    whole = (np.repeat(own, lengths) == responses.split).all()  # each student has one part
    return [
        f"The files divide {'students' if whole else 'answers'} into training, validation and "
        "test: that is not used, students are divided anew"
        + ("." if whole else "; maml-bench run students-by-answer is for it.")
    ]


def _order(responses: Any) -> tuple[bool, str]:
    """Whether the first answers are to be shown, and if not though there is an order, why."""
    if not responses.ordered:
        return False, ""
    starts, lengths = responses.starts[:-1], np.diff(responses.starts)
    place = np.arange(len(responses.item)) - np.repeat(starts, lengths)
    place = place / np.repeat(np.maximum(lengths - 1, 1), lengths)
    count = np.maximum(np.bincount(responses.item), 1)
    mean = np.bincount(responses.item, place) / count
    rest, whole = ((place - mean[responses.item]) ** 2).mean(), place.var()
    if whole > 0 and rest < (1 - FIXED_ORDER) * whole:
        return False, " (all students answer in the same order, so time tells nothing)"
    return True, ""
