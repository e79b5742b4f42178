import time

import numpy as np
import pytest

from bench.base import option_text
from bench.base.errors import BenchError
from bench.data.students.responses import read

UNORDERED = "no order_id or timestamp: the answers' order may not be that of time"


def write(tmp_path, content, name="answers.csv"):
    path = tmp_path / name
    path.write_text(content)
    return path


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


def test_rows_are_sorted_by_time_within_a_student(tmp_path):
    content = "timestamp,user_id,item_id,correct\n10,a,q1,1\n9,b,q1,0\n9,a,q10,0\n100,a,q1,0\n"
    for old, new in (("", ""), ("\n10,", "\n10.0,")):
        responses = read(write(tmp_path, content.replace(old, new) if old else content))
        assert responses.students == ["a", "b"]
        assert of(responses, "a") == [("q10", 0), ("q1", 1), ("q1", 0)]
        assert of(responses, "b") == [("q1", 0)]
        assert responses.ordered
        assert responses.notes == []


def test_times_in_words(tmp_path):
    content = "user_id,item_id,correct,timestamp\na,2,1,2024-05-31 12:00:00\n"
    content += "a,1,0,2024-05-31T11:00:00Z\na,3,1,2024-06-01\n"
    assert of(read(write(tmp_path, content)), "a") == [("1", 0), ("2", 1), ("3", 1)]


def test_order_ids_too_large_for_a_float_stay_apart(tmp_path):
    content = "user_id,item_id,correct,order_id\na,2,1,9007199254740993\na,1,0,9007199254740992\n"
    assert of(read(write(tmp_path, content)), "a") == [("1", 0), ("2", 1)]


def test_cognitive_diagnosis_data(tmp_path):
    content = "user_id,item_id,score\n2,7,1.0\n1,10,0\n1,7,1\n1,7,1\n"
    responses = read(write(tmp_path, content))
    assert responses.students == ["1", "2"]
    assert responses.items == ["7", "10"]
    assert responses.skills == []
    assert of(responses, "1") == [("10", 0), ("7", 1), ("7", 1)]  # a second try stays
    assert not responses.ordered
    assert responses.notes == [UNORDERED]


def test_assistments_2009(tmp_path):
    head = "order_id,assignment_id,user_id,problem_id,original,correct,sequence_id,skill_id,skill\n"
    content = head.replace("skill\n", "skill_name\n")
    content += '33,1,7,51,1,1,5,3,"Area, Circle"\n33,1,7,51,1,1,5,12,Caf\xe9\n'
    content += "30,1,7,52,1,0,5,,\n34,1,7,51,1,1,5,3,x\n34,1,7,51,1,1,5,12,x\n31,1,8,52,1,1,5,NA,\n"
    path = tmp_path / "raw.csv"
    path.write_bytes(content.encode("latin-1"))
    responses = read(path)
    assert of(responses, "7") == [("52", 0), ("51", 1), ("51", 1)]
    assert of(responses, "8") == [("52", 1)]
    assert skills_of(responses) == {"51": ["3", "12"], "52": []}
    assert responses.ordered
    assert responses.notes == [
        "not UTF-8: read as Latin-1",
        "dropped 2 repeated rows of multi-skill items",
    ]


def test_assistments_2009_without_problems(tmp_path):
    content = "order_id,user_id,skill_id,correct\n2,7,3,1\n2,7,12,1\n1,7,12,0\n"
    responses = read(write(tmp_path, content))
    assert of(responses, "7") == [("12", 0), ("3", 1)]
    assert "dropped 1 repeated rows of multi-skill items" in responses.notes


def test_assistments_2015(tmp_path):
    content = "user_id,log_id,sequence_id,correct\n5,9,70,1\n5,8,71,0\n5,7,70,0.25\n6,3,70,0.5\n"
    responses = read(write(tmp_path, content))
    assert responses.students == ["5"]
    assert of(responses, "5") == [("71", 0), ("70", 1)]
    assert responses.items == responses.skills == ["70", "71"]
    assert np.array_equal(responses.q_matrix, np.eye(2, dtype=bool))
    assert responses.notes == [
        "dropped 2 rows with a score between 0 and 1",
        "dropped 1 students without answers",
    ]


def test_repeated_rows_without_an_order(tmp_path):
    content = "user_id,item_id,correct,skill_id\na,q,1,3\na,q,1,7\nb,q,0,3\na,q,1,3\na,q,1,7\n"
    responses = read(write(tmp_path, content))
    assert of(responses, "a") == [("q", 1), ("q", 1)]
    assert responses.notes == ["dropped 2 repeated rows of multi-skill items", UNORDERED]


@pytest.mark.parametrize("field", ["3_7", '"3,7"', "3~~7", "[3]", '"[7, 3]"', "'3;7'", "a_b", "NA"])
def test_skills_of_one_field(tmp_path, field):
    field = field.strip("'")
    responses = read(write(tmp_path, f"user_id,item_id,correct,skill_id\na,q,1,{field}\n"))
    expected = {"[3]": ["3"], "a_b": ["a_b"], "NA": []}.get(field, ["3", "7"])
    assert responses.skills == skills_of(responses)["q"] == expected


def test_names_of_columns(tmp_path):
    content = "learner;right;exercise;when;tag;score\na;1;q1;5;x;9\na;0;q0;4;;9\n"
    columns = {"user_id": "learner", "item_id": "exercise", "correct": "right"}
    responses = read(write(tmp_path, content), columns | {"timestamp": "when", "skill_id": "tag"})
    assert of(responses, "a") == [("q0", 0), ("q1", 1)]
    assert skills_of(responses) == {"q0": [], "q1": ["x"]}
    assert read(write(tmp_path, content), columns).skills == []


def test_the_item_response_warehouse(tmp_path):
    content = "id,item,resp,rt,cov_age\n7,a1,1,2.5,30\n7,a2,0,1.5,30\n8,a1,NA,3,31\n8,a2,1,0,31\n"
    responses = read(write(tmp_path, content))
    assert responses.students == ["7", "8"]
    assert of(responses, "7") == [("a1", 1), ("a2", 0)]
    assert of(responses, "8") == [("a2", 1)]
    assert not responses.ordered
    # elsewhere an id is one of a row
    content = "id,user,item,resp\n1,7,a1,1\n2,7,a2,0\n"
    assert read(write(tmp_path, content)).students == ["7"]
    with pytest.raises(BenchError, match="no column user_id among"):
        read(write(tmp_path, "id,item,correct\n1,a1,1\n2,a2,0\n"))


@pytest.mark.parametrize("field", ["add;sub", '"add, sub"', "add|sub", "add/sub", "add & sub"])
def test_skills_by_name_in_one_field(tmp_path, field):
    """Several where each is one elsewhere; else one, and it is said."""
    head = "user_id,item_id,correct,skill_id\n"
    rows = f"a,q1,1,{field}\na,q2,0,add\n"
    both = read(write(tmp_path, head + rows + "a,q3,1,sub\n"))
    assert both.skills == ["add", "sub"]
    assert skills_of(both)["q1"] == ["add", "sub"]
    name = field.strip('"')
    assert f"took apart 1 fields of several skills, such as {name!r}" in both.notes
    one = read(write(tmp_path, head + rows))
    assert sorted(one.skills) == sorted(["add", name])
    assert any(note.startswith(f"took {name!r} for one skill, as its parts") for note in one.notes)


def test_names_with_commas_are_no_lists(tmp_path):
    content = 'user_id,item_id,correct,skill_id\na,q1,1,"Area, Circle"\na,q2,1,"Area, Square"\n'
    responses = read(write(tmp_path, content))
    assert responses.skills == ["Area, Circle", "Area, Square"]
    assert responses.notes == [UNORDERED]


@pytest.mark.parametrize("name", ["-2 x 4", "-3+5=?", "-x", "=2+3", "Nan", "Null", "Na", "- 3"])
def test_names_are_texts(tmp_path, name):
    content = f"user_id,item_id,correct,skill_id\n{name},{name},1,{name}\n"
    responses = read(write(tmp_path, content))
    assert responses.students == responses.items == responses.skills == [name]


def test_names_of_columns_with_blanks(tmp_path):
    content = "User ID,Item-ID,Is Correct,Start time\nann,q,1,31.5.2024 9:05\n"
    responses = read(write(tmp_path, content))
    assert responses.students == ["ann"]
    assert not responses.ordered


def test_the_likely_column_is_advised(tmp_path):
    path = write(tmp_path, "user_id,exercise,time_taken,correct\n1,a,9,1\n")
    with pytest.raises(BenchError, match=r'say which it is, as columns={"item_id": "exercise"}$'):
        read(path)
    path = write(tmp_path, "user_id,exercise,much\n1,a,9\n")
    with pytest.raises(BenchError, match=r'columns={"item_id": "exercise", "correct": "NAME"}$'):
        read(path)
    with pytest.raises(BenchError, match=r'columns={"correct": "much", "item_id": "exercise"}$'):
        read(path, {"correct": "much"})
    with (
        option_text.typed_as(option_text.of_lightning),
        pytest.raises(BenchError, match=r"""as --data.columns '{"item_id": "exercise", "corr"""),
    ):
        read(path)


def test_oddities_of_the_file(tmp_path):
    content = "User_ID , item_id,correct,\n 1.0,q 1,TRUE,\n\n,,,\n1, q 1,NA,\n2,q2,,\n1,q2,False\n"
    with pytest.raises(BenchError, match="line 7: 3 fields, but the header has 4"):
        read(write(tmp_path, content))
    responses = read(write(tmp_path, content[:-1] + ",\n"))
    assert responses.students == ["1"]
    assert of(responses, "1") == [("q 1", 1), ("q2", 0)]
    assert responses.notes[0] == "dropped 2 rows without an answer"
    assert "dropped 1 students without answers" in responses.notes


HEAD = "user_id,item_id,correct"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (f"{HEAD}\n1,2,1\n1,2,2\n", "line 3: column correct: answer '2' is neither 0 nor 1"),
        (f"{HEAD}\n1,2,-1\n", "line 2: column correct: answer '-1'"),
        (f"{HEAD}\n1,2,yes\n", "line 2: column correct: answer 'yes'"),
        (f"{HEAD}\n1,2,inf\n", "line 2: column correct: answer 'inf'"),
        (f"{HEAD}\n1,2,1\n{HEAD}\n", "line 3: column correct: answer 'correct'"),
        (f"{HEAD}\n,2,1\n", "line 2: column user_id: no student: fill it in, or drop it"),
        (f"{HEAD}\n1,NA,1\n", "line 2: column item_id: no item: fill it in"),
        (f"{HEAD}\n\n1,-3,1\n", "line 3: column item_id: item '-3' is negative"),
        (f"{HEAD},skill_id\n1,3,1,-1\n", "line 2: column skill_id: skill '-1' is negative: leave"),
        (f"{HEAD},order_id\n1,3,1,\n", "line 2: column order_id: '' is neither a number nor a ti"),
        (f"{HEAD},time\n1,3,1,5\n1,3,1,nan\n", "line 3: column time: 'nan' is neither a number"),
        (f"{HEAD},time\n1,3,1,12/5/2009\n", "column time: '12/5/2009' is neither.*2024-05-31"),
        (f"{HEAD}\n1,2,1\n1,2\n", "line 3: 2 fields, but the header has 3"),
        (f"{HEAD}\n1,2,1\n1,2,1,5\n", "line 3: 4 fields, but the header has 3: quote a field"),
        (f'{HEAD}\n1,2,1\n1,"2,1\n1,1,1\n', "line 3: no CSV .*mend the quotes"),
        (f'{HEAD}\n1,2,1\n1,2,"1\n1,1,1\n', "line 3: no CSV .*mend the quotes"),
        (f"{HEAD}\n", "has a header, but no rows"),
        (f"{HEAD}\n1,2,NA\n", "no answers are left .dropped 1 rows without an answer; .*give"),
        ("user_id,item_id,wright\n1,2,1\n", "no column correct among.*columns={.correct."),
        ("learner,item_id,correct\n1,2,1\n", "no column user_id among.*columns={.user_id."),
        ("user_id,thing,correct\n1,2,1\n", "no column item_id among"),
        ("user_id,thing,much\n1,b,a\n", "no column item_id or correct among"),
        ("1,2,1\n1,3,0\n5,6,7\n", "answers one a line need a header"),
    ],
)
def test_refused(tmp_path, content, match):
    with pytest.raises(BenchError, match=rf"answers\.csv.*{match}") as error:
        read(write(tmp_path, content))
    assert "\n" not in str(error.value)


def test_refused_columns(tmp_path):
    path = write(tmp_path, "learner,exercise,right\n1,2,1\n")
    with pytest.raises(BenchError, match="columns: 'user' is no role: did you mean user_id"):
        read(path, {"user": "learner"})
    with pytest.raises(BenchError, match="header: no column 'larner'.*user_id; did you mean learn"):
        read(path, {"user_id": "larner"})
    with pytest.raises(BenchError, match="header: no column correct among"):
        read(path, {"user_id": "learner", "item_id": "exercise"})


def test_many_rows_are_read_quickly(tmp_path):
    random = np.random.default_rng(0)
    rows = random.integers(0, [500, 2000, 2, 100], (50_000, 4))
    body = "\n".join(f"{u},{i},{c},{s},{t}" for t, (u, i, c, s) in enumerate(rows))
    path = write(tmp_path, f"{HEAD},skill_id,order_id\n{body}\n")
    start = time.process_time()
    responses = read(path)
    assert time.process_time() - start < 3  # a sixth of it where nothing else runs
    order = np.argsort(rows[:, 0], kind="stable")
    names = np.array(responses.items, int)
    assert np.array_equal(names[responses.item], rows[order, 1])
    assert np.array_equal(responses.answer, rows[order, 2])
