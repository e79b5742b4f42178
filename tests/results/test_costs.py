import numpy as np
import pytest

from bench.results import costs, tables
from bench.results.schema import COST_FIELDS


def measured(new_record, algorithm, seed, ms, device, threads=1, own=None):
    """A record that says where its cost was measured: beside it, or by where it was trained."""
    record = new_record(algorithm=algorithm, seed=seed, key=f"{algorithm}-{seed}")
    cost = dict.fromkeys(COST_FIELDS, ms) | (own or {})
    return record | {"cost": cost, "provenance": {"device": device, "threads": threads}}


@pytest.fixture
def three(new_record):
    """Two methods on a fast machine, one of them on a slow one too, a third on that alone."""
    return [
        measured(new_record, "maml", 0, 10.0, "fast"),
        measured(new_record, "maml", 1, 30.0, "slow"),
        measured(new_record, "fomaml", 0, 5.0, "fast"),
        measured(new_record, "reptile", 0, 90.0, "slow"),
    ]


def rows(records):
    return tables.summary(records).set_index("algorithm")


def test_times_are_of_the_machine_that_most_were_measured_on(three):
    table = rows(three)
    assert table["ms_per_iteration"].to_dict() == {"maml": 10.0, "fomaml": 5.0, "reptile": 90.0}
    assert table["measured_on"].to_dict() == {
        "maml": "fast, 1 thread",
        "fomaml": "fast, 1 thread",
        "reptile": "slow, 1 thread",
    }
    assert table["measured_elsewhere"].to_dict() == {
        "maml": False,
        "fomaml": False,
        "reptile": True,
    }


def test_a_table_marks_what_was_measured_elsewhere(three):
    text = tables.to_markdown(three)
    (line,) = [line for line in text.splitlines() if line.startswith("| glyphs") and "90" in line]
    assert "90.0†" in line
    assert "on fast, 1 thread" in text
    assert "measured on slow, 1 thread instead" in text


def test_threads_make_another_machine_and_may_be_words(new_record):
    two = [
        measured(new_record, "maml", 0, 10.0, "fast", threads="8 of 16"),
        measured(new_record, "fomaml", 0, 5.0, "fast", threads=2),
    ]
    assert set(rows(two)["measured_on"]) == {"fast, 8 of 16 threads", "fast, 2 threads"}
    assert "† : " not in tables.to_markdown(two)


def test_a_cost_says_itself_where_it_was_measured(new_record):
    own = {"device": "fast", "threads": 4}
    record = measured(new_record, "maml", 0, 10.0, "slow", own=own)
    assert str(costs.machine(record)) == "fast, 4 threads"


def test_nothing_measured_is_no_number(new_record):
    record = new_record(algorithm="maml") | {"cost": None}
    (row,) = tables.summary([record]).itertuples()
    assert np.isnan(row.ms_per_iteration)
    assert row.measured_on == ""
