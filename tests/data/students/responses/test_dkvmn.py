import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.data.students.responses import read


def write(tmp_path, content):
    path = tmp_path / "answers.csv"
    path.write_text(content)
    return path


def test_three_lines(tmp_path):
    responses = read(write(tmp_path, "3\n10,2,2,\n1,0,1,\n1\n3\n0\n"))
    assert responses.students == ["1", "2"]
    assert responses.items == responses.skills == ["2", "3", "10"]
    assert np.array_equal(responses.q_matrix, np.eye(3, dtype=bool))
    assert responses.starts.tolist() == [0, 3, 4]
    assert responses.item.tolist() == [2, 0, 0, 1]
    assert responses.answer.tolist() == [1, 0, 1, 0]
    assert responses.ordered
    assert responses.notes == []


def test_four_lines(tmp_path):
    content = "0,77\n5,6,5\n1,2,3\n1,0,1\n1,66,\n6,\n2,\n0,\n"
    responses = read(write(tmp_path, content))
    assert responses.students == ["77", "66"]
    assert responses.items == ["5", "6"]
    assert responses.skills == ["1", "2", "3"]
    assert responses.q_matrix.tolist() == [[True, False, True], [False, True, False]]
    assert responses.item.tolist() == [0, 1, 0, 1]
    assert responses.answer.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("nothing", ["0\n\n\n", "0\n,\n,\n", "0\n"])
def test_students_without_answers_are_dropped(tmp_path, nothing):
    responses = read(write(tmp_path, "1\n4\n1\n" + nothing + "1\n4\n0\n" + nothing))
    assert responses.students == ["1", "2"]
    assert responses.answer.tolist() == [1, 0]
    assert responses.notes == ["dropped 2 students without answers"]


def test_students_without_answers_are_dropped_from_four_lines(tmp_path):
    responses = read(write(tmp_path, "0,7\n\n\n\n1,8\n5,6\n1,2\n1,0\n2,9\n\n\n\n"))
    assert responses.students == ["8"]
    assert responses.notes == ["dropped 2 students without answers"]


def test_too_many_ids_for_skills_are_items(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.data.students.responses.responses.MOST_CELLS", 8)
    responses = read(write(tmp_path, "3\n1,2,3\n1,0,1\n"))
    assert responses.skills == []
    assert responses.q_matrix.shape == (3, 0)
    assert responses.notes == ["took the 3 ids for items: too many to be skills"]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("2\n1,2\n1,0,1\n", "line 3: 3 entries, but line 1 says 2: mend or drop this student"),
        ("3\n1,2\n1,0\n", "line 2: 2 entries, but line 1 says 3"),
        ("1\n1\n1\n\n2\n1\n", "line 5: the last student has 2 of 3 lines: get the whole file"),
        ("1\n1\n1\n1,2\n1,2\n0,1\n", "line 4: '1,2' instead of a number of answers"),
        ("2\n1,-4\n1,0\n", "line 2: entry 2 .skill.: skill id '-4' is negative: number them"),
        ("2\n1,x\n1,0\n", "line 2: entry 2 .skill.: skill id 'x' is no number"),
        ("3\n1,,2\n1,0,1\n", "line 2: entry 2 .skill.: no skill id: fill it in"),
        ("1\n1\n1\n2\n1,2\n0,2\n", "line 6: entry 2 .answer.: answer '2' is neither 0 nor 1"),
        ("2\n1,2\n1,-1\n", "line 3: entry 2 .answer.: answer '-1' is neither 0 nor 1"),
        ("2\n1,2\n1,0.5\n", "line 3: entry 2 .answer.: answer '0.5' is neither 0 nor 1"),
        ("3\n1,2,2\n1,,0\n", "line 3: entry 2 .answer.: answer '' is neither 0 nor 1"),
        ("-2\n1,2\n1,0\n", "line 1: '-2' instead of a number of answers"),
        ("9" * 5000 + "\n1\n1\n", "line 1: '999.*' instead of a number of answers"),
        ("0\n\n\n", "no answers are left"),
        ("0,7\n5,6\n1,2\n1\n", "line 4: 1 entries, but line 2 has 2"),
        ("0,7\n5\n1\n1\n8\n5\n1\n1\n", "line 5: '8' instead of `index,student`"),
        ("0,7\n5\n-1\n1\n", "line 3: entry 1 .skill.: skill '-1' is negative"),
        ("0,7\n5,6\n1,2\n1,7\n", "line 4: entry 2 .answer.: answer '7'"),
    ],
)
def test_refused(tmp_path, content, match):
    with pytest.raises(BenchError, match=rf"answers\.csv.*{match}") as error:
        read(write(tmp_path, content))
    assert "\n" not in str(error.value)
