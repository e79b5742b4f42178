"""Real students from files: who is trained on, validated and tested, and a whole run."""

import io
from collections import Counter

import numpy as np
import pytest
from rich.console import Console

from bench.base.errors import BenchError
from bench.cli import main as cli
from bench.data.student import StudentDataModule
from bench.results import plots, records, tables
from bench.results.views import by_shots
from bench.running.experiment import Experiment
from bench.running.training import train
from bench.tasks.questions import FEATURES, ITEM, POSITION

STUDENTS, QUESTIONS = 60, 30


def answers(students=STUDENTS, least=4, seed=0, name="u", rare=True):
    """Students of different ability at questions of two skills; some met one nobody else did."""
    rng = np.random.default_rng(seed)
    lines = ["user_id,item_id,skill_id,correct,order_id"]
    for s in range(students):
        ability = rng.normal()
        for t, q in enumerate(rng.permutation(QUESTIONS)[: least + s % 12]):
            right = rng.random() < 1 / (1 + np.exp(q / 6 - 2.5 - ability))
            lines.append(f"{name}{s},q{q},{'ab'[q % 2]},{int(right)},{t}")
        if rare and s % 3 == 0:
            lines.append(f"{name}{s},own{s},b,1,99")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "answers.csv"
    path.write_text(answers())
    return str(path)


def module(source, **options):
    return StudentDataModule(
        source=source, **{"shots": 5, "queries": 3, "tested_shots": (1, 3, 5)} | options
    )


def parts(data):
    return {split: set(numbers.tolist()) for split, numbers in data.students.items()}


# Splits ------------------------------------------------------------------------------------------


def check_folds(folds, everybody):
    """Each is three disjoint splits, and everybody is tested exactly once."""
    for found in folds:
        assert all(found.values())
        assert set.union(*found.values()) == everybody
        assert sum(map(len, found.values())) == len(everybody)
    tested = [s for found in folds for s in found["test"]]
    assert sorted(tested) == sorted(everybody)


@pytest.mark.parametrize("count", [2, 5, 7])
def test_folds_partition_the_students(source, count):
    folds = [parts(module(source, folds=count, fold=f)) for f in range(count)]
    check_folds(folds, set(range(STUDENTS)))
    sizes = [len(found["test"]) for found in folds]
    assert max(sizes) - min(sizes) <= 1
    assert 1 <= len(folds[0]["val"]) <= 0.4 * STUDENTS


def test_files_are_folds(tmp_path):
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.csv")
        paths[-1].write_text(answers(20, seed=number, name=f"file{number}-"))
    folds = [parts(module(paths, folds_from="file", fold=f)) for f in range(3)]
    check_folds(folds, set(range(60)))
    assert folds[1]["test"] == set(range(20, 40))
    with pytest.raises(BenchError, match=r"fold=3: .*0.csv, .*2.csv has the folds 0, 1, 2"):
        parts(module(paths, folds_from="file", fold=3))


def test_a_column_is_the_folds(tmp_path):
    path = tmp_path / "pykt.csv"
    lines = ["fold,uid,concepts,responses"]
    lines += [f'{4 + s % 3},u{s},"1,2,3,1,2,3,4","1,0,1,1,0,1,1"' for s in range(45)]
    path.write_text("\n".join(lines) + "\n")
    names = module(path).responses.students
    folds = [parts(module(path, folds_from="column", fold=f)) for f in (4, 5, 6)]
    check_folds(folds, set(range(45)))
    assert {names[s] for s in folds[0]["test"]} == {f"u{s}" for s in range(0, 45, 3)}
    with pytest.raises(BenchError, match=r"pykt.csv has the folds 4, 5, 6"):
        parts(module(path, folds_from="column", fold=0))
    for wrong in ("4", None):
        with pytest.raises(BenchError, match=f"fold={wrong!r}: give a whole number"):
            parts(module(path, folds_from="column", fold=wrong))


def test_the_split_is_frozen_whatever_else_changes(source):
    base = parts(module(source))
    for options in ({"seed": 3}, {"queries": 1}, {"protocol": "first"}, {"most_answers": 9}):
        assert parts(module(source, **options)) == base
    assert parts(module(source, split_seed=1)) != base


def test_students_with_too_few_answers_are_left_out_of_every_split(source):
    data = module(source, shots=9, tested_shots=(9,))
    lengths = np.diff(data.responses.starts)
    assert {s for s in range(STUDENTS) if lengths[s] > 9} == set.union(*parts(data).values())
    few = parts(module(source))
    for split, students in parts(data).items():
        assert students < few[split]  # nobody changes side because of it
    following = module(source, protocol="next", tested_shots=())
    assert len(set.union(*parts(following).values())) == STUDENTS


# What is known of the items ----------------------------------------------------------------------


def test_items_unseen_in_training_bear_one_number_and_keep_their_skills(source):
    data = module(source, protocol="first", queries=None, tested_shots=(1,))
    responses = data.responses
    met = {responses.items[i] for i in responses.select(data.students["train"]).item}
    assert data.has_new_items
    assert data.items == len(met) < len(responses.items)
    assert data.spec.items == data.items + 1
    assert {*data.item_names[: data.items]} == met
    assert sorted(data.item_names) == sorted(responses.items)
    assert data.skill_names == ["a", "b"]
    new = 0
    e = data.episodes("test", np.arange(data.listed("test")))
    for student, x, w in zip(data.students["test"], e.query_x, e.query_w):
        start = responses.starts[student]
        for row in x[w > 0].tolist():
            number = responses.item[start + int(row[POSITION])]
            name = responses.items[number]
            expected = data.item_names.index(name) if name in met else data.items
            assert row[ITEM] == expected
            assert row[FEATURES:] == responses.q_matrix[number].tolist()
            new += name not in met
    names = [int(responses.students[s].removeprefix("u")) for s in data.students["test"]]
    assert new == sum(s % 3 == 0 for s in names)  # each met one of their own


def test_answers_are_the_student_s_own_in_order_of_time(source):
    data = module(source, protocol="first", queries=None)
    last = data.views("test")[-1]
    e = data.episodes("test", np.arange(last.first, last.first + last.episodes))
    for i, support, asked, counts in zip(e.index, e.support_y, e.query_y, e.query_w):
        student = data.students["test"][data.students_of("test", i.numpy()[None])[0]]
        here = slice(*data.responses.starts[student : student + 2])
        assert support.tolist() + asked[counts > 0].tolist() == data.responses.answer[here].tolist()


def test_without_new_items_there_is_no_number_for_them(tmp_path):
    path = tmp_path / "answers.csv"
    path.write_text(answers(40, least=18, rare=False))
    data = module(path)
    assert not data.has_new_items
    assert data.spec.items == data.items == QUESTIONS


def test_most_answers_cuts_the_end(source):
    data = module(source, most_answers=6, queries=None, tested_shots=(1,))
    e = data.episodes("test", np.arange(data.listed("test")))
    assert max(e.support_x[..., POSITION].max(), e.query_x[..., POSITION].max()) == 5
    assert set(data.lengths("test").tolist()) <= {4, 5, 6}


@pytest.mark.parametrize(
    "options",
    [
        {"protocol": "random", "shots": 3, "queries": 2, "tested_shots": (3,)},
        {"protocol": "first", "shots": 3, "queries": 2, "tested_shots": (3,)},
        {"protocol": "first", "shots": 4, "queries": 5, "tested_shots": (1, 4)},
        {"protocol": "first", "shots": 3, "queries": None, "tested_shots": (1, 3)},
        {"protocol": "next", "shots": 50, "tested_shots": ()},
    ],
)
def test_training_rows_are_those_that_episodes_ask_for_weighed_alike(tmp_path, options):
    (tmp_path / "a.csv").write_text(answers(12, rare=False))
    data = module(str(tmp_path / "a.csv"), folds=2, **options)
    asked = set()
    for start in range(0, 3000, 100):
        index = np.arange(start, start + 100)
        episode, students = data.episodes("train", index), data.training_students(index)
        weight = np.ones(episode.query_y.shape) if episode.query_w is None else episode.query_w
        for student, rows, w in zip(students, episode.query_x[..., POSITION], weight):
            asked |= {(student, int(position)) for position, one in zip(rows, w) if one}
    counts = np.array(list(Counter(student for student, _ in asked).values()))
    assert data.training_rows == round(len(counts) ** 2 / (1 / counts).sum())
    assert data.training_rows <= len(asked)


def test_training_draws_all_training_students_and_no_other(source):
    data = module(source)
    drawn = data.students_of("train", np.arange(2000))
    counts = np.bincount(drawn, minlength=len(data.students["train"]))
    assert len(counts) == len(data.students["train"])
    expected = 2000 / len(counts)
    assert ((counts - expected) ** 2 / expected).sum() < 90  # 37 or so degrees of freedom


# A whole run -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def record(source, tmp_path_factory):
    experiment = Experiment(
        suite="mine",
        dataset="student",
        algorithm="item_mean",
        iterations=20,
        validations=2,
        data={
            "source": source,
            "shots": 5,
            "queries": 3,
            "tested_shots": (1, 3, 5),
            "tasks_per_batch": 8,
        },
    )
    return experiment, train(experiment, tmp_path_factory.mktemp("out"), progress=False)


def test_a_run_leaves_a_record_with_a_row_for_each_number_shown(record, source, tmp_path):
    experiment, found = record
    path = experiment.files(tmp_path).record
    records.write(path, found)
    back = records.read(path)
    data = module(source)
    assert [v["shots"] for v in back["evaluation"]["views"]] == [1, 3, 5]
    assert [v["episodes"] for v in back["evaluation"]["views"]] == [
        v.episodes for v in data.views("test")
    ]
    expanded = by_shots([back])
    assert [r["experiment"]["shots"] for r in expanded] == [1, 3, 5]
    table = tables.summary([back])
    assert table["shots"].tolist() == [1, 3, 5]
    for row, one in zip(table.itertuples(), expanded):
        assert 0 <= row.mean <= 1
        assert row.mean == pytest.approx(one["metrics"]["auc"]["mean"], abs=1e-6)
        assert row.episodes == len(one["evaluation"]["index"])
        for name in ("accuracy", "nll", "brier", "calibration_error"):
            assert getattr(row, name) == pytest.approx(one["metrics"][name]["mean"])
        assert np.isnan(row.share)  # no ceiling is known for real students
    # item mean knows nothing of the student: the same answers are predicted alike at every n
    same = {r["metrics"]["nll"]["mean"] for r in expanded if r["evaluation"]["episodes"] == 12}
    assert len(same) <= 1
    text = tables.to_markdown([back])
    assert "n = 5" in text
    assert "synthetic" not in text.lower()
    assert [p.name for p in tables.write_all(tmp_path, [back])] == [
        "mine.csv",
        "mine.md",
        "mine.tex",
    ]
    tables.print_rich([back], Console(file=io.StringIO(), width=100))
    assert "mine-answers.png" in [p.name for p in plots.write_all(tmp_path, [back])]


# Mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fold": 5}, "fold=5: give a number from 0 to 4"),
        ({"fold": -1}, "fold=-1: give a number from 0 to 4"),
        ({"folds": 1}, "folds=1: give a whole number of at least 2"),
        ({"folds_from": "colum"}, "folds_from='colum': did you mean column"),
        ({"folds_from": 3}, "folds_from=3: Known: column, file, nothing, seed"),
        ({"val_share": 0}, "val_share=0: give a share"),
        ({"val_share": "much"}, "val_share='much': give a number"),
        ({"most_answers": 1}, "most_answers=1: give a whole number of at least 2"),
        ({"folds": 61}, "answers.csv: 60 students cannot be divided into folds=61"),
        ({"folds_from": "column"}, "answers.csv has no column fold"),
        ({"shots": 40, "tested_shots": ()}, "no student is left for train: 60 .* 0 .* 41 answers"),
        ({"most_answers": 3, "tested_shots": (3, 5)}, "most_answers=3: an episode needs 4 answers"),
        ({"source": None}, "source: name a file of students' answers"),
        ({"source": []}, "source: name a file of students' answers"),
        ({"source": "nowhere.csv"}, "nowhere.csv: there is no such file"),
        ({"columns": {"user_id": "learner"}}, "no column 'learner'"),
        ({"q_matrix": "nowhere.csv"}, "nowhere.csv: there is no such file"),
    ],
)
def test_a_mistake_is_one_clear_message(source, options, words):
    with pytest.raises(BenchError, match=words) as error:  # before the first batch
        _ = module(**{"source": source} | options).spec
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("protocol", ["first", "next"])
def test_a_matrix_has_no_order_of_time(tmp_path, protocol):
    path = tmp_path / "matrix.csv"
    rng = np.random.default_rng(0)
    path.write_text("\n".join(",".join(map(str, r)) for r in rng.integers(0, 2, (40, 9))) + "\n")
    assert module(path).spec.items == 9
    with pytest.raises(BenchError, match=f"protocol='{protocol}': .*matrix.csv does not say .*use"):
        _ = module(path, protocol=protocol, tested_shots=()).spec


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "source: name a file"),
        (["data.source={tmp}/none.csv"], "none.csv: there is no such file"),
        (["data.source={tmp}/answers.csv", "data.shots=100"], "no student is left for train"),
        (["data.source={tmp}/answers.csv", "data.queries=0"], "queries=0"),
        (["data.source={tmp}/answers.csv", "data.tested_shots=[3,1]"], "rising whole numbers"),
        (["data.source={tmp}/answers.csv", "data.fold=9"], "fold=9: give a number from 0 to 4"),
        (["data.source={tmp}/answers.csv", "data.folds=99"], "folds=99"),
    ],
)
def test_the_command_line_says_it_in_one_message(tmp_path, capsys, monkeypatch, flags, words):
    # Lightning's command line has not followed jsonargparse
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "answers.csv").write_text(answers())
    flags = [f"--{flag.replace('{tmp}', str(tmp_path))}" for flag in flags]
    argv = ["fit", "--model=ItemMean", "--data=StudentDataModule", *flags]
    argv += ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
    assert cli.main([*argv, "--trainer.max_steps=1", "--trainer.logger=false"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert error.count("maml-bench: ") == 1
