import re

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.data.students.responses import read

ANSWERS = [[0, 1, 1], [1, 0, None], [None, None, 1]]


def write(tmp_path, content, name="answers.csv"):
    path = tmp_path / name
    path.write_text(content)
    return path


def dense(responses):
    """``[students][items]`` 0, 1 or None, as in the file."""
    table = [[None] * len(responses.items) for _ in responses.students]
    student = np.repeat(np.arange(len(responses.students)), np.diff(responses.starts))
    for s, item, answer in zip(student, responses.item, responses.answer.tolist()):
        table[s][item] = answer
    return table


@pytest.mark.parametrize(
    ("content", "students", "items"),
    [
        ("0,1,1\n1,0,\n,,1\n", None, None),
        ("0,1,1,\n1,0,,\n,,1,\n", None, None),
        ("0\t1\t1\n1\t0\t\n\t\t1\n", None, None),
        ("0 1 1\n1 0 NA\nNA nan 1\n", None, None),
        ("0.0;1.0;1.0\n1.0;0;\n;;1\n", None, None),
        ("x,y,z\n0,1,1\n1,0,NA\nNA,,1\n", None, "xyz"),
        ('"x","y","z"\n0,1,1\n1,0,NA\nNA,,1\n', None, "xyz"),
        ("1,2,3\n0,1,1\n1,0,NA\nNA,,1\n", None, None),
        ("student,x,y,z\na,0,1,1\nb,1,0,NA\nc,NA,,1\n", "abc", "xyz"),
        ("user_id,1,2,3\n1,0,1,1\n0,1,0,NA\n2,NA,,1\n", "102", None),
        (",x,y,z\n7,0,1,1\n8,1,0,NA\n9,NA,,1\n", "789", "xyz"),
        ("7,0,1,1\n8,1,0,NA\n9,NA,,1\n", "789", None),
        ("ann,0,1,1\nbob,1,0,NA\ncy,NA,,1\n", ["ann", "bob", "cy"], None),
        ("x y z\na 0 1 1\nb 1 0 NA\nc NA NA 1\n", "abc", "xyz"),
    ],
)
def test_forms(tmp_path, content, students, items):
    responses = read(write(tmp_path, content))
    assert dense(responses) == ANSWERS
    assert responses.students == list(students or "123")
    assert responses.items == list(items or "123")
    assert responses.q_matrix.shape == (3, 0)
    assert not responses.ordered
    assert responses.notes == []


def test_two_items(tmp_path):
    assert dense(read(write(tmp_path, "0,1\n1,1\n0,1\n0,0\n"))) == [[0, 1], [1, 1], [0, 1], [0, 0]]


TURNED = "the rows are items and the columns students: turned round"


@pytest.mark.parametrize(
    "content",
    [
        "item,a,b,c\nx,0,1,\ny,1,0,\nz,1,,1\n",
        "Question ID;a;b;c\nx;0;1;\ny;1;0;\nz;1;;1\n",
        "problem,a,b,c\nx,0,1,NA\ny,1,0,NA\nz,1,NA,1\n",
    ],
)
def test_items_in_rows_are_turned(tmp_path, content):
    responses = read(write(tmp_path, content))
    assert dense(responses) == ANSWERS
    assert responses.students == list("abc")
    assert responses.items == list("xyz")
    assert responses.notes == [TURNED]


def test_rows_that_are_called_as_questions_are(tmp_path):
    content = ",ann,ben,cy\nQ1,0,1,\nQ2,1,0,\nQ3,1,,1\n"
    responses = read(write(tmp_path, content))
    assert dense(responses) == ANSWERS
    assert responses.students == ["ann", "ben", "cy"]
    assert read(write(tmp_path, content.replace("ann,ben,cy", "i1,i2,i3"))).notes == []
    with pytest.raises(BenchError, match="header: 1 names of items occur twice"):
        read(write(tmp_path, "item,ann,ben\nx,0,1\nx,1,0\n"))


@pytest.mark.parametrize("sign", ["-", ".", "x", "#N/A", "?", "n.a.", "0,5"])
@pytest.mark.parametrize("first", ["student", "Name", "participant"])
def test_odd_signs_are_named_wherever_they_stand(tmp_path, sign, first):
    rows = ["ann;1;{};0", "ben;0;1;1", "cy;1;1;0"]
    for line in range(3):
        text = [row.replace("{}", "1") for row in rows]
        text[line] = text[line][: -len("1;0")] + f"{sign};0"
        path = write(tmp_path, "\n".join([f"{first};q1;q2;q3", *text]) + "\n")
        words = re.escape(f"line {line + 2}: column q2: answer {sign!r} is neither 0 nor 1")
        with pytest.raises(BenchError, match=words):
            read(path)


@pytest.mark.parametrize("signs", ["✓✗", "RF", ("WAHR", "FALSCH"), ("1,00", "0,00"), "+-"])
def test_other_signs_for_right_and_wrong_are_named(tmp_path, signs):
    right, wrong = signs
    path = write(tmp_path, f"student;q1;q2\nann;{right};{wrong}\nben;{wrong};{right}\n")
    remedy = "write 1 for right, 0 for wrong, nothing where there is no answer"
    with pytest.raises(BenchError, match="line 2: column q1: .* is neither 0 nor 1") as error:
        read(path)
    assert str(error.value).endswith(remedy)


def test_headers_that_hold_numbers_or_symbols(tmp_path):
    responses = read(write(tmp_path, "student,1,2a,Na,K\nann,0,1,1,0\nben,1,0,1,1\n"))
    assert responses.items == ["1", "2a", "Na", "K"]
    responses = read(write(tmp_path, ",Na,K\nann,0,1\nNA,1,0\n"))
    assert responses.students == ["ann", "NA"]


def test_students_without_answers_are_dropped(tmp_path):
    responses = read(write(tmp_path, "x,y\n0,1\n,\nNA,NA\n1,\n"))
    assert dense(responses) == [[0, 1], [1, None]]
    assert responses.students == ["1", "2"]
    assert responses.notes == ["dropped 2 students without answers"]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("x,y\n0,1\n1,2\n", "line 3: column y: answer '2' is neither 0 nor 1"),
        ("x,y\n0,1\n2,1\n0,1\n", "line 3: column x: answer '2' is neither 0 nor 1"),
        ("0,1,1\n1,-1,0\n1,0,0\n", "line 2: column 2: answer '-1'"),
        ("0,1,1\n1,0.5,0\n1,0,0\n", "line 2: column 2: answer '0.5' is neither 0 nor 1: write"),
        ("0,1,1\n1,no,0\n1,0,0\n", "line 2: column 2: answer 'no'"),
        ("0,no,1\n1,0,0\n1,0,0\n", "line 1: column 2: answer 'no'"),
        ("0,1,3\n1,0,0\n1,0,0\n", "line 1: column 3: answer '3'"),
        ("0,1,1\n1,0\n", "line 2: 2 fields, but 3 in line 1: leave a cell empty"),
        ("x,y,z\n0,1,1\n\n1,0,1,1\n", "line 4: 4 fields, but 3 in the header"),
        ("x,y,x\n0,1,1\n", "header: 1 names of columns occur twice: rename them"),
        ('x,y,z\n0,1,1\n0,"1,1\n', "line 3: no CSV"),
        ("1,2,3,4\n", "has a header, but no rows"),
        ("NA,NA\n,\n", "no answers are left"),
    ],
)
def test_refused(tmp_path, content, match):
    with pytest.raises(BenchError, match=rf"answers\.csv.*{match}") as error:
        read(write(tmp_path, content))
    assert "\n" not in str(error.value)
