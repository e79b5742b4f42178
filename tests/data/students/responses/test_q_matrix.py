import gzip

import pytest

from bench.base.errors import BenchError
from bench.data.students.responses import read

MATRIX = "x,y,z\n0,1,1\n1,0,1\n"
LONG = "user_id,item_id,correct\na,2,1\na,1,0\nb,3,1\n"
EXPECTED = [[True, False], [True, True], [False, False]]


def write(tmp_path, content, name="answers.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read_both(tmp_path, answers, q_matrix):
    return read(write(tmp_path, answers), q_matrix=write(tmp_path, q_matrix, "q.csv"))


@pytest.mark.parametrize(
    ("answers", "q_matrix"),
    [
        (MATRIX, "1,0\n1,1\n0,0\n"),
        (MATRIX, "1 0\n1 1\n0 0\n"),
        (MATRIX, gzip.compress(b"1,0\n1,1\n0,0\n")),
        (MATRIX, "1,2\n1,0\n1,1\n0,0\n"),
        (MATRIX, "item,1,2\nz,0,0\nx,1,0\ny,1,1\n"),
        (MATRIX, "z,0,0\nx,1,0\nw,0,1\ny,1,1\n"),
        (MATRIX, 'item_id,knowledge_code\nx,[1]\ny,"[1, 2]"\nz,[]\n'),
        (LONG, "1,0\n1,1\n0,0\n"),
        (LONG, "item_id,skill\n3,\n2,1_2\n1,1\n"),
        ("3\n2,1,3\n1,0,1\n", "1.0,0.0\n1,1\n0,0\n"),
        (LONG.replace("3", "0"), "0,0\n1,0\n1,1\n"),
    ],
)
def test_forms(tmp_path, answers, q_matrix):
    responses = read_both(tmp_path, answers, q_matrix)
    table = dict(zip(responses.items, responses.q_matrix.tolist()))
    assert responses.skills == ["1", "2"]
    names = "xyz" if "x" in responses.items else "120" if "0" in responses.items else "123"
    assert [table[name] for name in names] == EXPECTED


def test_names_of_skills_and_items_it_lacks(tmp_path):
    responses = read_both(tmp_path, MATRIX, "item,add,carry\nx,1,0\ny,1,1\n")
    assert responses.skills == ["add", "carry"]
    assert responses.q_matrix.tolist() == EXPECTED
    assert responses.notes == ["q.csv: has no skills of 1 items, such as z"]


@pytest.mark.parametrize(
    ("answers", "q_matrix", "match"),
    [
        (MATRIX, "1,0\n1,1\n", "2 rows x 2 columns do not fit 3 items: give it a row an item"),
        (MATRIX, "1,0,0\n1,1,1\n", "2 rows x 3 columns do not fit 3 items: turn it round"),
        (MATRIX, "1,0\n1,2\n0,1\n", "line 2: column 2: entry '2' is neither 0 nor 1"),
        (MATRIX, "1,0\n1,0.5\n0,1\n", "line 2: column 2: entry '0.5' is neither 0 nor 1"),
        (MATRIX, "1,0\n1,\n0,1\n", "line 2: column 2: no entry: write 0 or 1"),
        (MATRIX, "1,0\n1\n0,1\n", "line 2: 1 fields, but 2 in line 1"),
        (MATRIX, "item,s,t\na,1,0\nb,1,0\nc,1,1\n", "names none of the 3 items, such as x"),
        (MATRIX, "item_id,skill_id\nx,-1\n", "line 2: skill '-1' is negative"),
        (LONG.replace("3", "q"), "1,0\n1,1\n0,0\n", "items, such as q, are not numbered 1 to 3"),
        (MATRIX, "", "is empty"),
        (MATRIX, b"\x1f\x8b\x08", "damaged gzip"),
        (MATRIX, b"1,0\0", "not a text file"),
    ],
)
def test_refused(tmp_path, answers, q_matrix, match):
    with pytest.raises(BenchError, match=rf"q\.csv.*{match}") as error:
        read_both(tmp_path, answers, q_matrix)
    assert "\n" not in str(error.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(BenchError, match="there is no such file"):
        read(write(tmp_path, MATRIX), q_matrix=tmp_path / "q.csv")
