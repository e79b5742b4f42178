"""Columns of times, numbers and durations: what they say of the order and of repeated rows."""

import numpy as np
import pytest

from bench.data.students.responses import read


@pytest.fixture
def answers(tmp_path):
    """Reads ``header`` and rows as they stand."""

    def read_rows(header, *rows, columns=None):
        path = tmp_path / "answers.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return read(path, columns)

    return read_rows


HEAD = "user_id,item_id,correct,"


@pytest.mark.parametrize(
    "times",
    [
        ["12.5", "3.1", "40", "7"],  # seconds that an answer took
        ["3000", "1200", "900", "8000"],  # milliseconds
        ["0:45", "1:10", "0:09", "12:01"],
        ["1:00:45", "0:01:10", "0:00:09", "0:12:01"],
        ["45 s", "70 sec", "9 s", "12 min 3 s"],
        ["45", "", "9", "NA"],
    ],
)
def test_durations_are_no_order(answers, times):
    rows = [f"ann,q{n},{n % 2},{time}" for n, time in enumerate(times)]
    found = answers(f"{HEAD}time", *rows)
    assert not found.ordered
    assert [found.items[item] for item in found.item] == ["q0", "q1", "q2", "q3"]
    assert found.notes == [
        "column time holds durations, not times: no order; if it is one, "
        'columns={"timestamp": "time"}'
    ]


@pytest.mark.parametrize(
    "times",
    [
        ["4", "9", "9", "30"],  # seconds since the beginning, as the rows stand
        ["1717152300", "1717152200", "1717152400", "1717152100"],
        ["20240503", "20240502", "20240504", "20240501"],
        ["2024-05-03 10:00", "2024-05-02 11:00", "2024-05-04", "2024-05-01 09:30"],
    ],
)
def test_times_are_an_order(answers, times):
    rows = [f"ann,q{n},{n % 2},{time}" for n, time in enumerate(times)]
    found = answers(f"{HEAD}time", *rows)
    assert found.order == "column time"
    expected = np.argsort(times, kind="stable") if len(times[0]) > 2 else range(4)
    assert [found.items[item] for item in found.item] == [f"q{n}" for n in expected]


def test_durations_that_the_user_calls_times_are_times(answers):
    rows = ["ann,q0,1,9", "ann,q1,1,5"]
    found = answers(f"{HEAD}time", *rows, columns={"timestamp": "time"})
    assert found.order == "column time"
    assert [found.items[item] for item in found.item] == ["q1", "q0"]


def test_a_start_time_is_preferred_to_a_time(answers):
    found = answers(f"{HEAD}time,start_time", "ann,q0,1,1,2024-05-02", "ann,q1,1,2,2024-05-01")
    assert found.order == "column start_time"


def test_one_time_for_all_answers_is_no_order(answers):
    rows = [f"{who},q{n},1,2024-05-01 10:00:07" for who in ("ann", "ben") for n in range(3)]
    found = answers(f"{HEAD}timestamp", *rows)
    assert not found.ordered
    assert found.notes == ["column timestamp is the same for all answers of a student: no order"]
    assert answers(f"{HEAD}timestamp", "ann,q,1,7", "ben,q,1,7").ordered


def test_ties_are_said(answers):
    found = answers(
        f"{HEAD}timestamp", "ann,q2,1,2024-05-02", "ann,q1,1,2024-05-02", "ann,q0,1,2024-05-01"
    )
    assert [found.items[item] for item in found.item] == ["q0", "q2", "q1"]
    assert found.notes == [
        "1 answers have the timestamp of another of the student: these are in the order of the file"
    ]


# Repeated rows -----------------------------------------------------------------------------------

COARSE = ["2024-05-01 10:00", "2024-05-01", "1714557600", "1714557600000", "202405011000"]
FINE = ["2024-05-01 10:00:07", "1714557607", "1714557607000", "20240501100007"]


@pytest.mark.parametrize("time", COARSE)
def test_coarse_times_tell_no_repetition(answers, time):
    """Two answers in a minute, or on a day, that differ in nothing are two answers."""
    rows = ["ann,q,1,"] * 3 + ["ann,q,0,", "ben,r,1,"]
    found = answers(f"{HEAD}timestamp", *(row + time for row in rows), f"ben,r,0,{time[:-1]}1")
    assert len(found.answer) == 6
    assert not any("dropped" in note for note in found.notes)


@pytest.mark.parametrize("time", FINE)
def test_exact_times_do(answers, time):
    rows = [f"ann,q,1,{time}", f"ann,q,1,{time}", f"ann,r,1,{time}", f"ann,r,0,{time[:-1]}9"]
    found = answers(f"{HEAD}timestamp", *rows)
    assert len(found.answer) == 3
    assert "dropped 1 rows that repeat another with the same timestamp" in found.notes


def test_skill_rows_of_an_item_are_one_answer_at_coarse_times_too(answers):
    rows = [f"ann,q,1,{skill},2024-05-01" for skill in ("a", "b", "a", "b")]
    found = answers("user_id,item_id,correct,skill_id,timestamp", *rows, "ann,r,1,a,2024-05-02")
    assert len(found.answer) == 3
    assert "dropped 2 repeated rows of multi-skill items" in found.notes


def test_skills_alone_in_a_minute(answers):
    rows = [
        f"ann,fractions,{y},2024-05-01 10:0{n}"
        for n, y in ((0, 1), (0, 1), (0, 1), (1, 0), (1, 0), (1, 1))
    ]
    found = answers("user_id,skill_id,correct,timestamp", *rows)
    assert found.answer.tolist() == [1, 1, 1, 0, 0, 1]
    assert not any("dropped" in note for note in found.notes)


def test_a_second_that_has_right_and_wrong_answers_is_not_exact(answers):
    rows = [f"ann,fractions,{y},2024-05-01 10:00:07" for y in (1, 1, 0, 1)]
    found = answers("user_id,skill_id,correct,timestamp", *rows, "ann,x,1,2024-05-01 10:00:09")
    assert len(found.answer) == 5


def test_numbers_of_answers_tell(answers):
    rows = ["ann,3,1,5", "ann,7,1,5", "ann,7,1,5", "ann,7,1,6"]
    found = answers("user_id,skill_id,correct,order_id", *rows)
    assert len(found.answer) == 2
    assert found.notes == [
        "dropped 1 repeated rows of multi-skill items",
        "dropped 1 rows that repeat another with the same order_id",
    ]
    given = answers("user_id,skill_id,correct,nr", *rows, columns={"order_id": "nr"})
    assert given.notes == [found.notes[0], "dropped 1 rows that repeat another with the same nr"]


def test_small_numbers_tell_where_each_is_of_one_answer(answers):
    rows = ["ann,q,1,1", "ann,q,1,1", "ann,r,0,2"]
    assert len(answers(f"{HEAD}timestamp", *rows).answer) == 2
    # minutes, in which a student answered several
    assert len(answers(f"{HEAD}timestamp", *rows, "ann,s,0,1").answer) == 4
