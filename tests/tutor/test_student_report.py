import csv

from bench.tutor import student_report
from bench.tutor.assessment import Student
from bench.tutor.judgement import Settings


def test_a_spreadsheet_runs_no_names(tmp_path):
    skill = {"skill": "@SUM", "answers": 1, "right": 1, "chance": 0.5, "low": None, "high": None}
    skill |= {"above": None, "verdict": "undecided"}
    question = {
        "question": "=2+3",
        "skills": ["-x", "+y"],
        "chance": 0.25,
        "answered": None,
        "informs": 0.1,
    }
    student = Student(
        name='=HYPERLINK("x")',
        answers=1,
        used=1,
        right=1,
        skills=[skill],
        questions=[question],
        ask=["=2+3"],
        practise=[],
    )
    about = student_report.About([], ["DKT"], "answers.csv", 5, Settings(), [])
    student_report.write([student], about, tmp_path, pictures=False)

    def first(name):
        with (tmp_path / name).open(newline="") as file:
            return next(csv.DictReader(file))

    row = first("skills.csv")
    assert (row["student"], row["skill"], row["chance"]) == ('\'=HYPERLINK("x")', "'@SUM", "0.5")
    row = first("questions.csv")
    assert (row["question"], row["skills"], row["ask"]) == ("'=2+3", "'-x; +y", "1")
