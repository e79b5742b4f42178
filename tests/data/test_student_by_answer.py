"""Students whose answers are published divided, in files or in a column; and what prepare packs."""

import io

import numpy as np
import pytest
from rich.console import Console
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

from bench.base.errors import BenchError
from bench.cli import main as cli
from bench.data.student import StudentDataModule, prepare
from bench.results import plots, records, tables
from bench.running.experiment import Experiment
from bench.running.training import train
from bench.tasks.questions import ITEM, POSITION

STUDENTS, QUESTIONS = 30, 20
HEADER = "user_id,item_id,score"


def rows():
    """Student, question, answer and split; each answer is known by the student and question."""
    rng = np.random.default_rng(0)
    found = []
    for s in range(STUDENTS):
        met = rng.permutation(QUESTIONS)[: 9 + s % 10]
        for place, q in enumerate(met):
            split = "valid" if place % 5 == 3 else "test" if place % 5 == 4 else "train"
            found.append((f"s{s}", f"q{q}", int(rng.random() < 0.6), split))
        if s % 3 == 0:
            found.append((f"s{s}", "of the test alone", 1, "test"))
    return found


def in_files(folder, parts=("train", "valid", "test")):
    folder.mkdir(exist_ok=True)
    for part in parts:
        lines = [",".join(map(str, row[:3])) for row in rows() if row[3] == part]
        (folder / f"{part}.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    return [str(folder / f"{part}.csv") for part in parts]


def in_a_column(path):
    lines = [",".join(map(str, row)) for row in rows()]
    path.write_text("\n".join([f"{HEADER},split", *lines]) + "\n")
    return str(path)


def module(source=None, **options):
    return StudentDataModule(
        source=source, **{"split_by": "answer", "shots": None, "queries": None} | options
    )


def dealt(data, split, index):
    """Of each episode, the answers shown and asked for, as (student, question, answer)."""
    e = data.episodes(split, np.asarray(index))
    students = data.students[split][data.students_of(split, np.asarray(index))]
    found = []
    for n, student in enumerate(students):
        name = data.responses.students[student]
        sides = ((e.support_x, e.support_y, e.support_w), (e.query_x, e.query_y, e.query_w))
        found.append(
            [
                {
                    (name, data.item_names[int(item)] if item < data.items else "?", int(right))
                    for item, right in zip(x[n][w[n] > 0][:, ITEM], y[n][w[n] > 0])
                }
                for x, y, w in sides
            ]
        )
    return found


def wanted(split):
    """What the files say: of each student the answers for a split, new questions as ``?``."""
    met = {row[1] for row in rows() if row[3] == "train"}
    found = {}
    for student, question, right, part in rows():
        if part == split:
            name = question if question in met else "?"
            found.setdefault(student, set()).add((student, name, right))
    return found


@pytest.mark.parametrize("way", ["files", "column"])
@pytest.mark.parametrize("split", ["val", "test"])
def test_training_answers_are_shown_and_the_others_asked_for(tmp_path, way, split):
    source = in_files(tmp_path) if way == "files" else in_a_column(tmp_path / "answers.csv")
    data = module(source)
    shown, asked = wanted("train"), wanted("valid" if split == "val" else split)
    episodes = dealt(data, split, np.arange(data.listed(split)))
    assert data.listed(split) == STUDENTS
    for support, query in episodes:
        ((student, *_), *_) = support
        assert support == shown[student]
        assert query == asked[student]
    e = data.episodes(split, np.arange(STUDENTS))
    for n in range(STUDENTS):  # what is asked for comes behind what is shown
        last = e.support_x[n][e.support_w[n] > 0][:, POSITION].max()
        assert e.query_x[n][e.query_w[n] > 0][:, POSITION].min() == last + 1


def test_training_is_dealt_from_training_answers_alone(tmp_path):
    data = module(in_files(tmp_path), hide_items=0)
    every = wanted("train")
    parts = []
    for support, query in dealt(data, "train", np.arange(300)):
        ((student, *_), *_) = support
        assert support | query == every[student]
        assert not support & query
        assert support
        assert query
        parts.append(len(support) / len(support | query))
    shown = data.showable("test").sum() / data.lengths("test").sum()
    assert np.mean(parts) == pytest.approx(shown, abs=0.05)
    assert {*data.item_names[: data.items]} == {row[1] for row in rows() if row[3] == "train"}
    assert data.has_new_items
    several = [query for _, query in dealt(data, "train", np.flatnonzero(drawn_like(data, 0)))]
    assert len({frozenset(query) for query in several}) > 1  # another part each time


def drawn_like(data, episode):
    students = data.training_students(np.arange(300))
    return students == students[episode]


def test_fewer_shots_make_a_curve_with_the_same_questions(tmp_path):
    data = module(in_files(tmp_path), shots=5, tested_shots=(1, 3, 5))
    assert [(v.shots, v.episodes) for v in data.views("test")] == [(1, 30), (3, 30), (5, 30)]
    one, three, five = (dealt(data, "test", n * STUDENTS + np.arange(STUDENTS)) for n in range(3))
    for (a, asked), (b, asked_b), (c, asked_c) in zip(one, three, five):
        assert (len(a), len(b), len(c)) == (1, 3, 5)
        assert a < b < c < wanted("train")[next(iter(c))[0]]
        assert asked == asked_b == asked_c == wanted("test")[next(iter(c))[0]]
    capped = module(in_files(tmp_path), queries=1)
    assert (capped.episodes("test", np.arange(9)).query_w.sum(1) == 1).all()


def test_without_validation_a_share_of_training_is(tmp_path):
    data = module(in_files(tmp_path, ("train", "test")), val_share=0.25)
    training = wanted("train")
    held = [query for _, query in dealt(data, "val", np.arange(data.listed("val")))]
    for query in held:
        assert query < training[next(iter(query))[0]]
    assert 0.15 < sum(map(len, held)) / sum(map(len, training.values())) < 0.35
    for support, _ in dealt(data, "test", np.arange(data.listed("test"))):
        assert all(not support & query for query in held)


def test_most_answers_cuts_training_answers_alone(tmp_path):
    data = module(in_files(tmp_path), most_answers=4)
    for support, query in dealt(data, "test", np.arange(STUDENTS)):
        assert len(support) == 4
        assert query == wanted("test")[next(iter(query))[0]]


def test_what_is_read_is_said(tmp_path):
    said = " ".join(module(in_files(tmp_path)).sentences())
    count = {part: sum(row[3] == part for row in rows()) for part in ("train", "valid", "test")}
    assert (
        f"Answers: {count['train']} of 30 students to train on, {count['valid']} of 30 students "
        f"for validation, {count['test']} of 30 students for testing." in said
    )
    by_student = " ".join(module(in_files(tmp_path), split_by="student", shots=3).sentences())
    for text in (said, by_student):
        assert "30 students are in several files: taken for the same" in text


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        (("train", "test"), {"shots": None, "split_by": "student"}, "shots=None: give a whole"),
        (("train", "test"), {"tested_shots": (1, 2)}, "give the largest of them as shots"),
        (("train", "test"), {"protocol": "next"}, "protocol='next': where answers are divided"),
        (("train", "test"), {"protocol": "first"}, "does not say in which order"),
        (("train", "answers"), {}, "train.csv, answers.csv: which answers are for training"),
        (("train", "training"), {}, "which answers are for training"),
        (("valid", "test"), {}, "which answers are for training"),
        (("answers",), {}, "give a table a column split that says train, valid or test"),
        (("train", "test"), {"split_by": "answers"}, "split_by='answers': did you mean answer"),
    ],
)
def test_a_mistake_is_one_clear_message(tmp_path, names, options, words):
    for name in names:
        (tmp_path / f"{name}.csv").write_text(f"{HEADER}\nann,q1,1\nann,q2,0\nbo,q1,1\n")
    with pytest.raises(BenchError, match=words):
        _ = module([str(tmp_path / f"{name}.csv") for name in names], **options).spec


def test_files_that_share_no_student_divide_students(tmp_path):
    for part, name in (("train", "ann"), ("test", "bo")):
        (tmp_path / f"{part}.csv").write_text(f"{HEADER}\n{name},q1,1\n{name},q2,0\n")
    source = [str(tmp_path / f"{part}.csv") for part in ("train", "test")]
    with pytest.raises(BenchError, match="does not say which answers .*split_by='student'"):
        _ = module(source).spec
    prepare(tmp_path, tmp_path / "root")
    data = StudentDataModule(data_root=tmp_path / "root", folds_from="file", fold=1)
    assert data.responses.file.tolist() == [0, 1]


# Prepared ----------------------------------------------------------------------------------------


def test_prepared_answers_need_no_source(tmp_path, capsys):
    files = in_files(tmp_path / "set")
    (tmp_path / "set" / "item.csv").write_text(
        "\n".join(["item_id,knowledge_code", *(f"q{q},[{q % 3}]" for q in range(QUESTIONS))])
    )
    (tmp_path / "set" / "README.md").write_text("a set")
    argv = ["prepare", "student", "--source", str(tmp_path / "set")]
    assert cli.main([*argv, "--data-root", str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "30 students, 21 items, 3 skills" in said
    assert "The answers are divided: " in said
    packed = module(data_root=tmp_path)
    direct = module(files, q_matrix=str(tmp_path / "set" / "item.csv"))
    assert packed.skills == 3
    assert packed.checksum != module(files).checksum  # which knows no skills
    for split in ("train", "val", "test"):
        a, b = (dealt(data, split, np.arange(20)) for data in (packed, direct))
        as_sets = [sorted(map(str, episode)) for found in (a, b) for episode in found]
        assert sorted(as_sets[:20]) == sorted(as_sets[20:])
    # the same as a class of which nobody says anything
    assert module(data_root=tmp_path, split_by="student", shots=3).listed("test") == 6


def test_prepare_reads_any_format_and_keeps_folds(tmp_path):
    lines = ["fold,uid,concepts,responses"]
    lines += [f'{s % 3},u{s},"1,2,3,1","1,0,1,1"' for s in range(30)]
    (tmp_path / "pykt.csv").write_text("\n".join(lines) + "\n")
    assert "Order: the order of the entries." in prepare(tmp_path / "pykt.csv", tmp_path)
    data = StudentDataModule(
        data_root=tmp_path, folds_from="column", fold=2, protocol="first", shots=2
    )
    assert data.responses.order == "the order of the entries"
    assert len(data.students["test"]) == 10
    with pytest.raises(BenchError, match="does not say which answers"):
        _ = module(data_root=tmp_path).spec


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "no file of answers in it"),
        (("a.csv", "b.csv"), "a.csv, b.csv: which has the answers is not told"),
        (("a.csv", "items.csv", "q_matrix.csv"), "items.csv, q_matrix.csv: which has the skills"),
        (("notes.pdf",), "no file of answers in it"),
    ],
)
def test_a_folder_that_does_not_tell_is_refused(tmp_path, capsys, names, words):
    folder = tmp_path / "set"
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f"{HEADER}\nann,q1,1\n")
    argv = ["prepare", "student", "--source", str(folder), "--data-root", str(tmp_path / "root")]
    assert cli.main(argv) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "root").exists()
    assert cli.main(["prepare", "student", "--data-root", str(tmp_path / "root")]) == 2
    assert "maml-bench prepare student --source PATH" in capsys.readouterr().err


def test_source_goes_before_what_is_prepared_and_options_go_with_it(tmp_path):
    files = in_files(tmp_path / "set")
    prepare(tmp_path / "set", tmp_path)
    (tmp_path / "other.csv").write_text(
        "\n".join([HEADER, *(f"o{s},q{q},{(s + q) % 2}" for s in range(20) for q in range(9))])
    )
    other = module(str(tmp_path / "other.csv"), data_root=tmp_path, split_by="student", shots=3)
    assert other.responses.students[0] == "o0"
    with pytest.raises(BenchError, match="columns=.*goes with source"):
        _ = module(data_root=tmp_path, columns={"correct": "score"}).spec
    assert module(files).spec.items == 21


@pytest.mark.parametrize("change", [np.zeros(3, np.int8), "beyond", "floats"])
def test_a_damaged_division_is_refused(tmp_path, change):
    in_files(tmp_path / "set")
    prepare(tmp_path / "set", tmp_path)
    path = tmp_path / "student.answers.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    split = arrays["of_split"]
    arrays["of_split"] = {"beyond": split + 3, "floats": split * 1.0}.get(str(change), change)
    np.savez(path, **arrays)
    with pytest.raises(BenchError, match="is damaged"):
        _ = module(data_root=tmp_path).spec


# A whole run -------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["rasch", "bilevel_irt", "maml"])
def test_a_run_leaves_a_record_and_a_table(tmp_path, algorithm):
    experiment = Experiment(
        suite="mine",
        dataset="student",
        algorithm=algorithm,
        iterations=4,
        validations=2,
        data={
            "source": in_files(tmp_path),
            "split_by": "answer",
            "shots": None,
            "queries": None,
            "tasks_per_batch": 8,
        },
    )
    found = train(experiment, tmp_path / "out", progress=False)
    path = experiment.files(tmp_path).record
    records.write(path, found)
    back = records.read(path)
    assert back["evaluation"]["episodes"] == STUDENTS
    assert 0 < back["metrics"]["auc"]["mean"] < 1
    assert "varying" in tables.to_markdown([back])
    printed = io.StringIO()
    tables.print_rich([back], Console(file=printed, width=100))
    assert "student, varying: all metrics" in printed.getvalue()
    assert plots.write_all(tmp_path, [back])


@pytest.mark.slow
def test_the_suite_takes_files_of_ones_own(tmp_path, capsys):
    source = in_files(tmp_path)
    argv = ["run", "students-by-answer", "--algorithms", "item_mean", "--out", str(tmp_path)]
    argv += ["--set", "iterations=2", f"source={source}", "--jobs", "1"]
    assert cli.main([*argv, "--accelerator", "cpu"]) == 0
    assert "item mean" in capsys.readouterr().out


@pytest.mark.slow
def test_rasch_reaches_its_reference_on_a0910_as_published(tmp_path, shared_data):
    folder = shared_data("student", "cognitive_diagnosis", "a0910")
    said = prepare(folder, tmp_path)
    assert "2,493 students, 17,671 items, 123 skills, 267,415 answers" in said
    assert "186,049 for train, 25,606 for val, 55,760 for test" in said
    data = module(data_root=tmp_path, most_answers=1000)
    assert (data.listed("val"), data.listed("test")) == (1000, 2493)
    assert data.items < len(data.item_names)  # some questions are of the test alone
    found = {"support": [], "query": []}
    for start in range(0, 2493, 500):
        index = np.arange(start, min(start + 500, 2493))
        e = data.episodes("test", index)
        for side, rows in found.items():
            x, y, w = (getattr(e, f"{side}_{name}").numpy() for name in "xyw")
            at = np.nonzero(w)
            rows.append(np.stack([index[at[0]], x[..., ITEM][at], y[at]], 1))
    shown, asked = (np.concatenate(rows) for rows in found.values())
    assert (len(shown), len(asked)) == (186_049, 55_760)
    probability = rasch(shown, asked, 2493, data.spec.items)
    assert roc_auc(probability, asked[:, 2]) == pytest.approx(0.766, abs=0.002)
    assert np.mean((probability > 0.5) == asked[:, 2]) == pytest.approx(0.727, abs=0.002)


def rasch(shown, asked, students, items):
    """Chances of the answers asked for: the likeliest Rasch model with standard normal priors."""
    (s, i, y), (ask_s, ask_i, _) = (rows.T.astype(int) for rows in (shown, asked))

    def loss(w):
        theta, d = w[:students], w[students:-1]
        p = expit(theta[s] + d[i] + w[-1])
        change = np.concatenate(
            [
                np.bincount(s, p - y, students) + theta,
                np.bincount(i, p - y, items) + d,
                [(p - y).sum()],
            ]
        )
        likelihood = np.log(np.where(y, p, 1 - p)).sum()
        return (theta @ theta + d @ d) / 2 - likelihood, change

    w = minimize(loss, np.zeros(students + items + 1), jac=True, method="L-BFGS-B").x
    return expit(w[ask_s] + w[students + ask_i] + w[-1])


def roc_auc(probability, right):
    rank, positive = rankdata(probability), right.sum()
    above = rank[right > 0].sum() - positive * (positive + 1) / 2
    return above / (positive * (len(right) - positive))
