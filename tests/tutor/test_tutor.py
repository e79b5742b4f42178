import time

import numpy as np
import pytest

from bench import Tutor
from bench.base.errors import BenchError
from bench.tutor import policies
from bench.tutor.judgement import Settings


@pytest.fixture
def tutor(taught, tmp_path):
    return Tutor(taught / "irt.ckpt", db=tmp_path / "class.sqlite")


def answer(tutor, student, *answers):
    for question, right in answers:
        tutor.answer(student, question, right)


def test_what_is_believed_follows_the_answers(tutor):
    before = {row["skill"]: row["chance"] for row in tutor.skills("ann")}
    assert set(before) == {"adding", "halving"}
    answer(tutor, "ann", *((f"q{i}", i % 2 == 0) for i in range(8)))
    after = {row["skill"]: row for row in tutor.skills("ann")}
    assert after["adding"]["chance"] > before["adding"]
    assert after["halving"]["chance"] < before["halving"]
    assert (after["adding"]["answers"], after["adding"]["right"]) == (4, 4)
    assert all(row["low"] < row["chance"] < row["high"] for row in after.values())
    chance = tutor.predict("ann")
    assert list(chance) == tutor.words.items
    mean = np.mean([p for question, p in chance.items() if int(question[1:]) % 2 == 0])
    assert mean == pytest.approx(after["adding"]["chance"], abs=1e-4)
    (student,) = tutor.report(["ann"])
    assert student.skills == tutor.skills("ann")


def test_tutors_that_share_a_file_see_the_same(tutor, taught, tmp_path):
    other = Tutor(taught / "irt.ckpt", db=tmp_path / "class.sqlite")
    before = other.predict("ann")
    assert tutor.answer("ann", "q0", right=True, id="x")
    assert not other.answer("ann", "q0", right=True, id="x")
    assert other.students() == {"ann": 1}
    assert other.predict("ann") == tutor.predict("ann") != before


@pytest.mark.parametrize("policy", policies.POLICIES)
def test_the_next_questions_are_new_ones(tutor, policy):
    answer(tutor, "ann", *((f"q{i}", True) for i in range(17)))
    assert set(tutor.next("ann", 9, policy)) == {"q17", "q18", "q19"}
    answer(tutor, "ann", *((f"q{i}", True) for i in range(17, 20)))
    assert tutor.next("ann", 9, policy) == []


def test_randomesque_asks_neighbours_different_questions_among_the_best(tutor):
    names = [f"pupil {i}" for i in range(12)]
    assert len({tutor.next(name)[0] for name in names}) == 1
    best = set(tutor.next(names[0], 4))
    chosen = [tutor.next(name, randomesque=4)[0] for name in names]
    assert len(set(chosen)) > 1
    assert set(chosen) <= best
    assert chosen == [tutor.next(name, randomesque=4)[0] for name in names]


def test_a_model_without_a_posterior_asks_what_it_foresees_least(taught, tmp_path):
    tutor = Tutor(taught / "dkt.ckpt", db=tmp_path / "class.sqlite")
    answer(tutor, "ann", ("q1", True))
    chance = tutor.predict("ann")
    least = min(set(chance) - {"q1"}, key=lambda q: abs(chance[q] - 0.5))
    assert tutor.next("ann") == [least]
    assert tutor.skills("ann")[0]["low"] is None
    assert not tutor.sure("ann")
    with pytest.raises(BenchError, match="has no posterior"):
        tutor.next("ann", policy="bayes")


def test_explain_is_what_leaving_an_answer_out_changes(tutor, taught, tmp_path):
    given = [("q0", True), ("q1", False), ("q2", True)]
    answer(tutor, "ann", *given)
    rows = tutor.explain("ann", "q4")
    assert {(row["question"], row["right"]) for row in rows} == set(given)
    assert [abs(row["moved"]) for row in rows] == sorted(abs(r["moved"]) for r in rows)[::-1]
    for row in rows:
        other = Tutor(taught / "irt.ckpt", db=tmp_path / f"{row['question']}.sqlite")
        answer(other, "ann", *(one for one in given if one[0] != row["question"]))
        moved = tutor.predict("ann")["q4"] - other.predict("ann")["q4"]
        assert row["moved"] == pytest.approx(moved, abs=1e-5)
    assert tutor.explain("nobody", "q4") == []


def test_practice_is_neither_too_hard_nor_too_easy(tutor):
    answer(tutor, "ann", ("q0", True), ("q1", False), ("q3", False))
    chance = tutor.predict("ann")
    first, *others = tutor.practise("ann", 20)
    assert "q0" not in {first, *others}
    assert abs(chance[first] - 0.7) == min(abs(chance[q] - 0.7) for q in chance if q != "q0")


def test_a_curve_begins_and_ends_with_what_is_believed(tutor):
    answer(tutor, "ann", *((f"q{i}", i < 5) for i in range(10)))
    curve = tutor.curve("ann")
    assert [row["answers"] for row in curve] == list(range(11))
    assert curve[-1]["chance"] == pytest.approx(np.mean(list(tutor.predict("ann").values())))
    assert curve[0]["chance"] == pytest.approx(np.mean(list(tutor.predict("nobody").values())))
    assert all(row["low"] < row["chance"] < row["high"] for row in curve)


@pytest.mark.parametrize("model", ["irt", "rasch", "dkt"])
def test_how_students_stand_is_what_the_report_says_of_them(taught, tmp_path, monkeypatch, model):
    tutor = Tutor(taught / f"{model}.ckpt", db=tmp_path / "class.sqlite")
    tutor.load(taught / "class.csv")
    names = [*tutor.students(), "nobody"]
    monkeypatch.setattr("bench.tutor.tutor.AT_ONCE", 25)  # several parts
    whole, standings = tutor.report(names), tutor.standings(names)
    assert [one.name for one in standings] == names
    assert [one.skills for one in standings] == [student.skills for student in whole]
    informs = np.array([[row["informs"] for row in student.questions] for student in whole])
    np.testing.assert_allclose([one.informs for one in standings], informs, atol=0.05)
    assert tutor.standings([]) == []


def test_sure_enough_when_every_interval_is_narrow_or_on_one_side(taught, tmp_path):
    tutor = Tutor(taught / "irt.ckpt", tmp_path / "class.sqlite", Settings(width=1.0))
    assert not tutor.sure("ann")  # whatever is usual, if nothing was asked
    answer(tutor, "ann", *((f"q{i}", True) for i in range(3)))
    assert not tutor.sure("ann")
    tutor.answer("ann", "q3", right=False)
    for width, mastery, sure in ((0.0, 0.5, False), (1.0, 0.5, True), (0.0, 0.999, True)):
        settings = Settings(width=width, mastery=mastery)
        tutor = Tutor(taught / "irt.ckpt", tmp_path / "class.sqlite", settings)
        assert tutor.sure("ann") == sure


def test_a_file_of_answers_counts_once(tutor, taught):
    new, said = tutor.load(taught / "class.csv")
    assert new == 60 * 16
    assert said[0].startswith("60 students, 20 items")
    assert tutor.load(taught / "class.csv")[0] == 0
    assert len(tutor.students()) == 60


def test_unknown_questions_and_names_are_refused(tutor, tmp_path):
    with pytest.raises(BenchError, match="unknown question 'q77'.*such as"):
        tutor.answer("ann", "q77", True)
    with pytest.raises(BenchError, match="the name of a student"):
        tutor.answer(" ", "q1", True)
    file = tmp_path / "answers.csv"
    file.write_text("user_id,item_id,correct\nann,q1,1\nann,other,0\n")
    with pytest.raises(BenchError, match="1 of its 2 questions are unknown"):
        tutor.load(file)
    assert tutor.students() == {}
    assert tutor.load(file, skip_unknown=True)[0] == 1


def test_of_one_ability_all_questions_are_one_skill(taught, tmp_path):
    tutor = Tutor([taught / "rasch.ckpt"] * 2, db=tmp_path / "class.sqlite")
    answer(tutor, "ann", ("q0", True), ("q1", False))
    (row,) = tutor.skills("ann")
    assert (row["skill"], row["verdict"], row["answers"]) == ("all questions", "", 2)
    assert len(tutor.next("ann", 3)) == 3


def test_a_thousand_students_with_a_hundred_answers_load_in_seconds(tutor):
    rng = np.random.default_rng(0)
    rows = [(f"s{s}", f"q{q}", True) for s in range(1000) for q in rng.integers(0, 20, 100)]
    before = time.process_time()
    assert tutor.book.add_missing(rows) == 100_000
    assert time.process_time() - before < 10
    assert len(tutor.book.of("s7")) == 100
