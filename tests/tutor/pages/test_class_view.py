import numpy as np

from bench.tutor.assessment import Standing, Student
from bench.tutor.judgement import MASTERED, NOT_MASTERED, UNDECIDED, Settings
from bench.tutor.pages.class_view import class_page, class_view


def student(name, *skills, informs=(0.3, 0.1, 0.2)):
    """A student from the verdict, the chance and the number of answers of each skill."""
    rows = [
        {"skill": f"skill {k}", "questions": 3, "answers": n, "right": 0}
        | {"chance": p, "low": p - 0.1, "high": p + 0.1, "above": 0.5, "verdict": verdict}
        for k, (verdict, p, n) in enumerate(skills)
    ]
    questions = [
        {"question": f"q{i}", "skills": [], "answers": 0, "right": 0, "chance": 0.5}
        | {"low": 0.4, "high": 0.6, "informs": v}
        for i, v in enumerate(informs)
    ]
    return Student(name, 4, 4, 2, rows, questions, ["q0"], ["q1"])


ANN = student("Ann", (NOT_MASTERED, 0.3, 2), (MASTERED, 0.9, 2))
BOB = student("Bob", (UNDECIDED, 0.7, 1), (NOT_MASTERED, 0.2, 0), informs=(0.1, 0.3, 0.3))
CAT = student("Cat", (NOT_MASTERED, 0.2, 3), (UNDECIDED, 0.8, 2))


def test_who_needs_what_is_said_of_those_who_were_asked():
    view = class_view([ANN, BOB, CAT], Settings())
    assert view.skills == ["skill 0", "skill 1"]  # what most lack comes first
    (need,) = view.needs
    assert need.skill == "skill 0"
    assert need.names == {NOT_MASTERED: ["Ann", "Cat"], UNDECIDED: ["Bob"], MASTERED: []}
    assert [row["skill"] for row in view.cells(BOB)] == view.skills


def test_questions_that_tell_least_over_the_students_come_first():
    view = class_view([ANN, BOB], Settings())
    assert [question for question, _ in view.little] == ["q0", "q1", "q2"]


def test_those_who_are_not_in_the_table_count_too():
    others = [Standing(s.name, s.skills, np.array([0.0, 0.9, 0.5])) for s in (ANN, BOB, CAT)]
    view = class_view([BOB], Settings(), others)
    assert view.students == [BOB]
    assert view.needs == class_view([ANN, BOB, CAT], Settings()).needs
    assert view.skills == ["skill 0", "skill 1"]  # of Bob alone it is the other way round
    assert [question for question, _ in view.little] == ["q0", "q2", "q1"]


def test_a_large_class_with_many_skills_is_one_page():
    many = [student(f"pupil {n}", *[(UNDECIDED, 0.5, 1)] * 40) for n in range(60)]
    view = class_view(many, Settings())
    assert len(view.skills) == 24
    page = class_page(many, Settings(), ["A sentence with <b>."])
    assert page.count('<section class="student"') == 60
    assert "A sentence with &lt;b&gt;." in page
    assert "skill 39" in page  # on the students' own parts
