"""Eedi's tables: times and topics from the files of metadata beside them, as published."""

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.data.student import prepare
from bench.data.students.prepared import load
from bench.data.students.responses import read

ANSWERS = """\ufeffQuestionId,UserId,AnswerId,IsCorrect,CorrectAnswer,AnswerValue
10,7,500,1,2,2
11,7,501,0,1,3

10,8,502,0,2,1
11,8,503,1,1,1
12,8,504,1,4,4
"""
TIMES = """AnswerId,DateAnswered,Confidence,GroupId,QuizId,SchemeOfWorkId
501,2020-02-01 10:20:00.000,,1,1,
500,2020-02-01 10:25:00.000,75.0,1,1,
504.0,2020-02-01 09:00:00.000,,1,1,
503,2020-02-01 09:30:00.000,,1,1,
502,2020-02-01 09:45:00.000,,1,1,
"""
TOPICS = 'QuestionId,SubjectId\n10,"[3, 71, 98, 209]"\n11,"[3, 32, 144, 204]"\n12,"[3, 71]"\n'
NAMES = """SubjectId,Name,ParentId,Level
3,Maths,NULL,0
71,Geometry,3,1
98,Angles,71,2
209,"Angles, basic",98,3
32,Number,3,1
144,Fractions,32,2
204,Adding fractions,144,3
"""


def as_published(folder, left_out=()):
    files = {
        "train_data/train_task_3_4.csv": ANSWERS,
        "metadata/answer_metadata_task_3_4.csv": TIMES,
        "metadata/question_metadata_task_3_4.csv": TOPICS,
        "metadata/subject_metadata.csv": NAMES,
        "metadata/answer_metadata_task_1_2.csv": "AnswerId,DateAnswered\n500,1999-01-01\n",
    }
    for name, text in files.items():
        if name not in left_out:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    return folder / "train_data" / "train_task_3_4.csv"


def answers_of(found):
    return {
        name: [
            (found.items[i], int(a))
            for i, a in zip(found.item[start:end], found.answer[start:end], strict=True)
        ]
        for name, start, end in zip(found.students, found.starts, found.starts[1:])
    }


def test_times_and_topics_come_from_the_metadata(tmp_path):
    found = read(as_published(tmp_path))
    assert found.ordered
    assert answers_of(found) == {
        "7": [("11", 0), ("10", 1)],
        "8": [("12", 1), ("11", 1), ("10", 0)],
    }
    assert found.skills == ["3", "71", "Adding fractions", "Angles, basic"]
    asks = {
        item: {found.skills[s] for s in np.flatnonzero(row)}
        for item, row in zip(found.items, found.q_matrix)
    }
    # where the tree does not go deep enough, all numbers
    assert asks == {"10": {"Angles, basic"}, "11": {"Adding fractions"}, "12": {"3", "71"}}


def test_without_metadata_the_answers_are_read_and_it_is_said(tmp_path):
    path = as_published(
        tmp_path,
        ("metadata/answer_metadata_task_3_4.csv", "metadata/question_metadata_task_3_4.csv"),
    )
    found = read(path)
    assert not found.ordered
    assert found.skills == []
    said = " ".join(found.sentences())
    assert "No answer_metadata file is beside it or in ../metadata: the answers' order" in said
    assert "No question_metadata file" in said
    assert answers_of(found)["7"] == [("10", 1), ("11", 0)]


def test_a_wrong_answer_is_named_by_its_line(tmp_path):
    path = as_published(tmp_path)
    path.write_text(ANSWERS.replace("11,8,503,1", "11,8,503,right"))
    with pytest.raises(BenchError, match=r"train_task_3_4.csv, line 6: column correct: answer"):
        read(path)


def test_a_row_that_is_cut_off_is_named_by_its_line(tmp_path):
    path = as_published(tmp_path)
    path.write_text(ANSWERS + "11")
    last = ANSWERS.count("\n") + 1
    with pytest.raises(BenchError, match=rf"line {last}: 1 fields, but the header has"):
        read(path)


def test_it_is_prepared_from_a_folder_with_all_of_it(tmp_path):
    path = as_published(tmp_path)
    folder = tmp_path / "all"
    folder.mkdir()
    for file in (path, *(tmp_path / "metadata").iterdir()):
        file.rename(folder / file.name)
    said = prepare(folder, tmp_path)
    assert "2 students, 3 items, 4 skills, 5 answers" in said
    assert "Order: column timestamp" in said
    assert load(tmp_path / "student.answers.npz", "student").skills[-1] == "Angles, basic"


def test_the_warehouse_s_dates_are_the_order(tmp_path):
    path = tmp_path / "irw.csv"
    path.write_text(
        "id,item,resp,date,wave,rt\n"
        "p1,i2,1,1583020800,1,3.5\np1,i1,0,1583020700,1,2.0\np2,i1,NA,1583020900,1,9\n"
        "p2,i2,1,1583020950,1,1\np1,i2,0,1593020800,2,4\n"
    )
    found = read(path)
    assert found.ordered
    assert found.order == "column date"
    assert answers_of(found) == {"p1": [("i1", 0), ("i2", 1), ("i2", 0)], "p2": [("i2", 1)]}
    path.write_text("id,item,resp\np1,i1,1\np1,i2,3\n")
    with pytest.raises(BenchError, match=r"line 3: column resp: answer .*3.* is neither 0 nor 1"):
        read(path)
