"""Well-known sets: prepared from a folder once, read back the same, and refused when damaged."""

import contextlib
import gzip
import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.cli import main as cli
from bench.data.assist2009 import Assist2009DataModule
from bench.data.fraction_subtraction import FractionSubtractionDataModule
from bench.data.students.prepared import ARRAYS, cache, load, save
from bench.data.students.responses import read

STUDENTS = 40


def fraction(folder, zipped=False):
    """Answers and Q-matrix of made-up students, under the names of the real files."""
    rng = np.random.default_rng(0)
    answers = [[f"Item{i:02d}" for i in range(20)], *rng.integers(0, 2, (STUDENTS, 20)).tolist()]
    skills = [[f"Trait{i}" for i in range(8)], *rng.integers(0, 2, (20, 8)).tolist()]
    for name, lines in (("responses", answers), ("qmatrix", skills)):
        text = "\n".join(",".join(map(str, line)) for line in lines).encode() + b"\n"
        path = folder / f"fraction_subtraction_{name}.csv{'.gz' * zipped}"
        path.write_bytes(gzip.compress(text) if zipped else text)
    return folder


def assist(folder):
    """Students of 3 to 40 answers in DKVMN's form, in two files."""
    rng = np.random.default_rng(1)
    for part, students in (("train", 30), ("test", 12)):
        lines = []
        for s in range(students):
            n = 3 + s % 38
            lines += [str(n), *(",".join(map(str, rng.integers(1, k, n))) for k in (9,))]
            lines.append(",".join(map(str, rng.integers(0, 2, n))))
        (folder / f"assist2009_updated_{part}.csv").write_text("\n".join(lines) + "\n")
    return folder


def prepared(tmp_path):
    """The file of a prepared set."""
    argv = ["prepare", "fraction_subtraction", "--source", str(fraction(tmp_path))]
    assert cli.main([*argv, "--data-root", str(tmp_path / "root")]) == 0
    return tmp_path / "root" / "fraction_subtraction.answers.npz"


# Preparing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [False, True])
def test_prepared_answers_are_those_of_the_files(tmp_path, capsys, zipped):
    fraction(tmp_path, zipped)
    argv = ["prepare", "fraction-subtraction", "--source", str(tmp_path)]
    assert cli.main([*argv, "--data-root", str(tmp_path / "root")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Found 40 students, 20 items, 800 answers, 8 skills" in said
    assert "The usual set has 536 students, 10,720 answers: this one is another." in said
    end = ".gz" * zipped
    wanted = read(
        tmp_path / f"fraction_subtraction_responses.csv{end}",
        q_matrix=tmp_path / f"fraction_subtraction_qmatrix.csv{end}",
    )
    found = load(cache("fraction_subtraction", tmp_path / "root"), "fraction_subtraction")
    for name, value in vars(wanted).items():
        np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)
    assert not found.ordered
    assert [p.name for p in (tmp_path / "root").iterdir()] == ["fraction_subtraction.answers.npz"]

    data = FractionSubtractionDataModule(data_root=tmp_path / "root", fold=2)
    assert (data.items, data.skills, data.has_new_items) == (20, 8, False)
    e = data.episodes("test", np.arange(data.listed("test")))
    assert e.support_x.shape == (8, 10, 10)
    assert (e.query_w.sum(1) == 10).all()  # all the rest


def test_the_test_file_is_the_test_split(tmp_path):
    argv = ["prepare", "assist2009", "--source", str(assist(tmp_path))]
    assert cli.main([*argv, "--data-root", str(tmp_path)]) == 0
    data = Assist2009DataModule(data_root=tmp_path, shots=5, tested_shots=(1, 5), queries=4)
    assert data.responses.ordered
    lengths = np.diff(data.responses.starts)
    assert data.students["test"].tolist() == [s for s in range(30, 42) if lengths[s] > 1]
    assert max(*data.students["train"], *data.students["val"]) < 30
    assert data.skills == data.items == 8
    e = data.episodes("test", np.arange(data.listed("test")))
    assert (e.query_x[..., 1].max(1).values > e.support_x[..., 1].max(1).values).all()


@pytest.mark.parametrize(
    ("name", "folder", "said", "sizes"),
    [
        (
            "fraction_subtraction",
            "psychometrics",
            "Found 536 students, 20 items, 10,720",
            (108, 20),
        ),
        ("assist2009", "dkvmn/assist2009_updated", "Found 4,151 students, 110 items", (581, 107)),
    ],
)
def test_the_real_sets(tmp_path, shared_data, capsys, name, folder, said, sizes):
    source = str(shared_data("student", folder))
    argv = ["prepare", name, "--source", source, "--data-root", str(tmp_path)]
    assert cli.main(argv) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert said in text
    assert "this one is another" not in text
    cls = {"assist2009": Assist2009DataModule}.get(name, FractionSubtractionDataModule)
    data = cls(data_root=tmp_path)
    assert (data.listed("test"), data.items) == sizes


@pytest.mark.parametrize("name", ["fraction_subtraction", "assist2009"])
@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "cannot be downloaded by a program: get "),
        ("empty", "holds neither "),
        ("nowhere", "holds neither "),
        ("file", "holds neither "),
    ],
)
def test_without_its_files_nothing_is_prepared(tmp_path, capsys, name, source, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    given = ["--source", str(tmp_path / source)] if source else []
    assert cli.main(["prepare", name, *given, "--data-root", str(tmp_path / "root")]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert f"{name}" in error
    assert "Traceback" not in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "root").exists()


def test_a_broken_file_is_named_and_what_was_there_stays(tmp_path, capsys):
    path = prepared(tmp_path)
    before = path.read_bytes()
    (tmp_path / "fraction_subtraction_responses.csv").write_text("a,b\n0,1\n1,2\n")
    argv = ["prepare", "fraction_subtraction", "--source", str(tmp_path)]
    assert cli.main([*argv, "--data-root", str(path.parent)]) == 2
    assert "fraction_subtraction_responses.csv, line 3" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert cli.main([*argv, "--data-root", str(path)]) == 2  # a file in the way
    assert len(list(path.parent.iterdir())) == 1


def test_an_unwritable_folder_is_said(tmp_path, capsys):
    (tmp_path / "root").touch()
    argv = ["prepare", "fraction_subtraction", "--source", str(fraction(tmp_path))]
    assert cli.main([*argv, "--data-root", str(tmp_path / "root")]) == 2
    assert "cannot write" in capsys.readouterr().err


# Reading back ------------------------------------------------------------------------------------


def refused(path, words="is damaged"):
    with pytest.raises(BenchError, match=words) as error:
        load(path, "assist2009")
    assert str(path) in str(error.value)
    assert "maml-bench prepare assist2009 --source FOLDER" in str(error.value)


def test_a_set_that_is_not_prepared_is_said(tmp_path, capsys):
    refused(tmp_path / "none.npz", "does not exist: assist2009 is not prepared")
    with pytest.raises(BenchError, match="fraction_subtraction is not prepared; run maml-bench"):
        _ = FractionSubtractionDataModule(data_root=tmp_path).spec
    (tmp_path / "folder.npz").mkdir()
    refused(tmp_path / "folder.npz")


def test_damage_of_any_kind_is_refused(tmp_path):
    whole = prepared(tmp_path).read_bytes()
    path, rng = tmp_path / "a.npz", np.random.default_rng(0)
    wanted = load(prepared(tmp_path), "assist2009")
    for content in (b"", b"\0" * 100, b"PK\x03\x04", pickle.dumps(print), whole[:-1]):
        path.write_bytes(content)
        refused(path)
    for size in rng.integers(1, len(whole), 40):  # cut off
        path.write_bytes(whole[:size])
        refused(path)
    for _ in range(40):
        path.write_bytes(rng.bytes(500))
        refused(path)
    for _ in range(150):  # some bytes changed: refused, or nothing that counts was hit
        content = np.frombuffer(whole, np.uint8).copy()
        where = rng.integers(0, len(whole), rng.integers(1, 6))
        content[where] = rng.integers(0, 256, len(where))
        path.write_bytes(content.tobytes())
        with contextlib.suppress(BenchError):
            found = load(path, "assist2009")
            np.testing.assert_array_equal(found.answer, wanted.answer)
            np.testing.assert_array_equal(found.q_matrix, wanted.q_matrix)


class Boom:
    def __reduce__(self):
        return (os.mkdir, (os.environ["MAML_BENCH_TEST_BOOM"],))


@pytest.mark.parametrize("name", [*ARRAYS, "students", "notes", "ordered"])
def test_a_pickle_in_it_is_never_executed(tmp_path, monkeypatch, name):
    """Neither as an array of objects nor as a bare file."""
    monkeypatch.setenv("MAML_BENCH_TEST_BOOM", str(tmp_path / "boom"))
    path = prepared(tmp_path)
    with np.load(path) as stored:
        arrays = dict(stored) | {name: np.array([Boom()], object)}
    np.savez(tmp_path / "object.npz", **arrays, allow_pickle=True)
    refused(tmp_path / "object.npz")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "bare.npz", "w") as new:
        for member in old.namelist():
            bare = member == f"{name}.npy"
            new.writestr(member, pickle.dumps(Boom()) if bare else old.read(member))
    refused(tmp_path / "bare.npz")
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Boom()))
    refused(tmp_path / "pickle.npz")
    assert not (tmp_path / "boom").exists()
    pickle.loads(pickle.dumps(Boom()))  # the trap itself works
    assert (tmp_path / "boom").exists()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("starts", lambda v: v[1:]),
        ("starts", lambda v: v + 1),
        ("starts", lambda v: v[::-1].copy()),
        ("starts", lambda v: v.astype(float)),
        ("item", lambda v: v + 20),
        ("item", lambda v: v - 1),
        ("item", lambda v: v[:-1]),
        ("item", lambda v: v[None]),
        ("item", lambda v: v.astype("U9")),
        ("answer", lambda v: v * 2),
        ("answer", lambda v: v - 1),
        ("answer", lambda v: v[1:]),
        ("q_matrix", lambda v: v[:, 1:]),
        ("q_matrix", lambda v: v.T),
        ("q_matrix", lambda v: v.astype(int)),
        ("of_file", lambda v: v[1:]),
        ("of_file", lambda v: v.astype(float)),
        ("students", lambda v: v[1:]),
        ("students", lambda v: v[0]),
        ("items", lambda v: np.arange(20)),
        ("skills", lambda v: v[None]),
        ("ordered", lambda v: np.zeros(2)),
        ("notes", None),
        ("answer", None),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(tmp_path, name, change):
    with np.load(prepared(tmp_path)) as stored:
        arrays = dict(stored)
    np.savez(tmp_path / "same.npz", **arrays)
    load(tmp_path / "same.npz", "assist2009")
    if change is None:
        del arrays[name]
    else:
        arrays[name] = change(arrays[name])
    np.savez(tmp_path / "other.npz", **arrays)
    refused(tmp_path / "other.npz")


def test_an_array_alone_is_no_prepared_set(tmp_path):
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    (tmp_path / "a.npz").write_bytes(file.getvalue())
    refused(tmp_path / "a.npz")


def test_what_is_saved_twice_is_the_same(tmp_path):
    path = prepared(tmp_path)
    responses = load(path, "fraction_subtraction")
    save(tmp_path / "again.npz", responses)
    for name, value in vars(load(tmp_path / "again.npz", "a")).items():
        np.testing.assert_array_equal(value, getattr(responses, name), err_msg=name)


@pytest.mark.parametrize("option", ["source", "q_matrix", "columns"])
def test_files_of_ones_own_belong_to_another_data_set(option):
    with pytest.raises(BenchError, match=rf"{option}=.*use the data set student"):
        Assist2009DataModule(**{option: {"correct": "a"} if option == "columns" else "a.csv"})
