"""What all formats share: recognition, several files, damage, and the real files."""

import contextlib
import gzip
import pickle

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.data.students.responses import read
from bench.data.students.responses import text as text_module

DKVMN = b"3\n1,2,2,\n1,0,1,\n2\n3,1\n0,0\n"
LONG = b"user_id,item_id,correct,timestamp\na,q1,1,5\na,q2,0,4\nb,q1,0,1\n"
PYKT = b'fold,uid,concepts,responses\n0,u,"1,2,-1","1,0,-1"\n1,v,"2,2,1","1,0,1"\n'
MATRIX = b"q1,q2,q3\n0,1,1\n1,,NA\n"


def write(tmp_path, content, name="answers.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path, match, **options):
    with pytest.raises(BenchError, match=match) as error:
        read(path, **options)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500
    return str(error.value)


def of(responses, student):
    """Items by name, and answers, of a student by name."""
    s = responses.students.index(student)
    here = slice(responses.starts[s], responses.starts[s + 1])
    items = [responses.items[item] for item in responses.item[here]]
    return list(zip(items, responses.answer[here].tolist()))


def skills_of(responses):
    """``{item: names of its skills}``."""
    return {
        item: [skill for skill, has in zip(responses.skills, row) if has]
        for item, row in zip(responses.items, responses.q_matrix)
    }


def same(a, b):
    fields = vars(a).keys() - {"notes"}
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in fields)


# Recognition and what the files may look like ----------------------------------------------------


@pytest.mark.parametrize("content", [DKVMN, LONG, PYKT, MATRIX], ids=["dkvmn", "long", "pykt", "m"])
def test_content_tells_the_format_however_it_was_saved(tmp_path, content):
    plain = read(write(tmp_path, content))
    assert plain.starts.dtype == plain.item.dtype == plain.file.dtype == np.int64
    assert plain.answer.dtype == np.int8
    assert plain.q_matrix.dtype == bool
    assert plain.q_matrix.shape == (len(plain.items), len(plain.skills))
    for number, other in enumerate(
        [
            gzip.compress(content),
            gzip.compress(content[:9]) + gzip.compress(content[9:]),
            b"\xef\xbb\xbf" + content,
            content.replace(b"\n", b"\r\n"),
            content.replace(b"\n", b"\r"),
            content.replace(b"\n", b"\n\n \n"),
            b"\n" + content.rstrip(b"\n"),
        ]
    ):
        assert same(read(str(write(tmp_path, other, str(number)))), plain), number


def test_latin_1_is_read_and_said(tmp_path):
    responses = read(write(tmp_path, "user_id,item_id,correct\nJosé,q,1\n".encode("latin-1")))
    assert responses.students == ["José"]
    assert "not UTF-8: read as Latin-1" in responses.notes
    assert read(write(tmp_path, "user_id,item_id,correct\nJosé,q,1\n")).students == ["José"]


def test_several_files_follow_one_another(tmp_path):
    first = write(tmp_path, LONG, "first.csv")
    second = write(tmp_path, b"user,question,score\nb,q0,1\nb,q2,1\n", "second.csv")
    third = write(tmp_path, DKVMN, "third.csv")
    responses = read([first, second, third])
    assert responses.students == ["a", "b", "b", "4", "5"]
    assert responses.file.tolist() == [0, 0, 1, 2, 2]
    assert responses.items == ["q1", "q2", "q0", "1", "2", "3"]
    assert responses.item.tolist() == [1, 0, 0, 2, 1, 3, 4, 4, 5, 3]
    assert responses.answer.tolist() == [0, 1, 0, 1, 1, 1, 0, 1, 0, 0]
    assert skills_of(responses)["2"] == ["2"]
    assert skills_of(responses)["q1"] == []
    assert not responses.ordered
    assert responses.fold is None
    assert responses.notes == [
        "second.csv: no order_id or timestamp: the answers' order may not be that of time",
        "1 students are in several files: counted as another one in each",
    ]


def test_select(tmp_path):
    responses = read(write(tmp_path, PYKT + b'1,w,"3,1","0,0"\n'))
    some = responses.select([2, 0])
    assert some.students == ["w", "u"]
    assert some.fold.tolist() == [1, 0]
    assert some.items == responses.items
    assert of(some, "w") == [("3", 0), ("1", 0)]
    assert of(some, "u") == [("1", 1), ("2", 0)]
    assert same(responses.select(np.array([True, False, True])), responses.select([0, 2]))
    assert same(responses.select(np.arange(3)), responses)
    assert responses.select([]).starts.tolist() == [0]


# What is refused ---------------------------------------------------------------------------------


def test_missing_folder_and_none(tmp_path):
    refused(tmp_path / "no.csv", "no.csv: there is no such file: check the path")
    refused(tmp_path, "a folder: name the files in it")
    refused([], "name at least one")
    refused("a\0b", "cannot be read|no such file")
    path = write(tmp_path, LONG)
    (tmp_path / "link.csv").symlink_to(path)
    refused([path, tmp_path / "link.csv"], "given twice")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty"),
        (b" \r\n\n,,\n", "is empty"),
        (gzip.compress(b""), "is empty"),
        (gzip.compress(LONG)[:-9], "damaged gzip .*get the file again"),
        (gzip.compress(LONG)[:20], "damaged gzip"),
        (gzip.compress(LONG)[:-8] + b"12345678", "damaged gzip"),
        (b"\x1f\x8b nothing", "damaged gzip"),
        (LONG[:50] + b"\0" + LONG[50:], "line 3: holds the byte 0x00, so it is not a text file"),
        (bytes(range(256)), "line 1: holds the byte 0x00"),
        (pickle.dumps(print), "not a text file"),
        (b"PK\x03\x04....", "a zip, an Excel sheet"),
        (LONG.decode().encode("utf-16"), "UTF-16 text: save it as UTF-8"),
        (b"hello\nworld\n", "'hello' begins none of the known formats.*user_id,item_id,correct"),
        (b'{"user": [1, 2]}', "JSON by columns: give an object with user_id"),
        (b'"' * 3 + b"\n0,1", "csv"),
        (b"user_id," + b"x" * 10**6, "no column"),
    ],
)
def test_no_answers(tmp_path, content, match):
    assert "answers.csv" in refused(write(tmp_path, content), match)


def test_absurd_size_is_counted_while_reading(tmp_path, monkeypatch):
    monkeypatch.setattr(text_module, "MOST_BYTES", 1000)
    monkeypatch.setattr(text_module, "_CHUNK", 100)
    refused(write(tmp_path, gzip.compress(bytes(10**6))), "more than 1,000 bytes unpacked: split")
    refused(write(tmp_path, b"1" * 2000), "more than 1,000 bytes: split")


@pytest.mark.parametrize("content", [DKVMN, LONG, PYKT, MATRIX], ids=["dkvmn", "long", "pykt", "m"])
def test_random_damage_is_refused_or_read(tmp_path, content):
    """Never another error, whatever the bytes; what is read is whole."""
    random = np.random.default_rng(0)
    alphabet = np.frombuffer(b'0123,,\n\n"-;_ \tNa.e[]~\r\xe9', np.uint8)
    for case in range(150):
        damaged = np.frombuffer(content, np.uint8).copy()
        if case % 3 == 2:
            damaged = np.insert(damaged, random.integers(len(damaged)), random.choice(alphabet, 3))
        elif case % 3 == 1:
            damaged = damaged[: random.integers(len(damaged))]
        where = random.integers(len(damaged), size=random.integers(4)) if len(damaged) else []
        damaged[where] = random.choice(alphabet, len(where))
        path = write(tmp_path, damaged.tobytes())
        with contextlib.suppress(BenchError):
            responses = read(path)
            assert responses.starts[-1] == len(responses.answer) == len(responses.item)
            assert (np.diff(responses.starts) > 0).all()
            assert set(responses.answer.tolist()) <= {0, 1}


def test_random_bytes_are_refused(tmp_path):
    random = np.random.default_rng(1)
    for _ in range(100):
        refused(write(tmp_path, random.bytes(random.integers(30, 200))), "answers.csv")


# The real files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "students", "answers", "items", "skills", "right"),
    [
        ("dkvmn/assist2009_updated/*_train.csv.gz", 2921, 224218, 110, 110, 0.658),
        ("dkvmn/assist2009_updated/*_test.csv.gz", 1230, 101419, 109, 109, 0.659),
        ("dkvmn/assist2015/*_train.csv.gz", 13935, 484040, 100, 100, 0.732),
        ("dkvmn/assist2015/*_test.csv.gz", 5905, 199761, 100, 100, 0.732),
        ("synthetic5/dkvmn_csv/*v0_t*.csv.gz", 4000, 200000, 50, 50, 0.608),
        ("akt/assist2009_pid/*.csv.gz", 4150, 325589, 16891, 110, 0.658),
    ],
)
def test_real_counts(shared_data, pattern, students, answers, items, skills, right):
    responses = read(sorted(shared_data("student").glob(pattern)))
    assert len(responses.students) == students
    assert len(responses.answer) == responses.starts[-1] == answers
    assert (len(responses.items), len(responses.skills)) == (items, skills)
    assert responses.answer.mean() == pytest.approx(right, abs=1e-3)
    assert responses.ordered
    assert responses.notes == []


def test_real_synthetic_students_are_those_of_the_generator(shared_data):
    folder = shared_data("student", "synthetic5")
    paths = [
        folder / f"dkvmn_csv/naive_c5_q50_s4000_v0_{part}.csv.gz" for part in ("train", "test")
    ]
    responses = read(paths)
    with np.load(folder / "dkt_synthetic_c5_v0-9.npz") as converted:
        expected = np.unpackbits(converted["responses"][0], axis=-1)[:, :50]
    assert np.array_equal(responses.answer.reshape(4000, 50), expected)
    assert np.array_equal(responses.item.reshape(4000, 50), np.tile(np.arange(50), (4000, 1)))
    assert responses.items == [str(n) for n in range(1, 51)]


def test_real_q_matrices(shared_data):
    folder = shared_data("student", "cognitive_diagnosis", "a0910")
    paths = [folder / f"{part}.csv.gz" for part in ("train", "valid", "test")]
    responses = read(paths, q_matrix=folder / "item.csv.gz")
    assert np.bincount(responses.file).tolist() == [2493] * 3
    assert len(responses.answer) == 186049 + 25606 + 55760
    assert len(responses.items) == 17671
    assert len(responses.skills) == 123
    assert responses.q_matrix.any(1).all()
    assert "2,493 students are in several files: counted as another one in each" in responses.notes

    folder = shared_data("student", "psychometrics")
    responses = read(
        folder / "fraction_subtraction_responses.csv.gz",
        q_matrix=folder / "fraction_subtraction_qmatrix.csv.gz",
    )
    assert len(responses.students) == 536
    assert responses.q_matrix.shape == (20, 8)
    assert responses.items[0] == "Item01"
    assert skills_of(responses)["Item01"] == ["Trait4", "Trait6", "Trait7"]
    assert responses.answer.reshape(536, 20)[0].tolist()[:8] == [0, 0, 0, 1, 0, 0, 1, 1]
