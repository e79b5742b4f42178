"""Two folders: rows that were made alike are set beside each other, and what differs is said."""

import copy

import pytest

from bench.results.costs import machine
from bench.results.report import page
from bench.results.report.against import compare


@pytest.fixture
def maml(runs):
    """``maml(3, {"inner_lr": 0.5})``: second-order MAML of so many seeds, changed."""

    def make(seeds=3, learner=(), data=(), provenance=(), gain=0.1, **experiment):
        found = [r for r in runs("glyphs", seeds, gain) if r["experiment"]["algorithm"] == "maml"]
        for record in found:
            e = record["experiment"]
            e["learner"] |= dict(learner)
            e["data"] |= dict(data)
            e |= experiment
            record["provenance"] |= {"device": "AMD EPYC", "threads": 1, **dict(provenance)}
        return found

    return make


def the_line(ours, theirs):
    (line,) = compare(ours, theirs).lines
    return line


def test_a_row_is_found_whatever_else_lies_beside_it(maml):
    """The key of a cell has a variant only where there are several."""
    alone, others = maml(), maml(iterations=100)
    for record in others:
        record["experiment"]["key"] += "-short"
    for ours, theirs, place in ((alone, alone + others, "there"), (alone + others, alone, "here")):
        found = compare(ours, theirs)
        assert [line["Here − there"] for line in found.lines] == ["+0.0 ± 0.0 %"]
        (sentence,) = found.sentences
        assert sentence.startswith(f"1 row is only {place}: glyphs 5-way 1-shot, MAML")
        assert "iterations=100" in sentence


@pytest.mark.parametrize(
    ("changes", "words", "paired"),
    [
        ({"data": {"data_seed": 7}}, "data_seed: -, there 7", False),
        ({"provenance": {"data": "0a1b"}}, "data files: 2c3d, there 0a1b", False),
        ({"data": {"tasks_per_batch": 8}}, "tasks_per_batch: -, there 8", True),
        ({"iterations": 1200}, "iterations: 10, there 1200", True),
        ({"learner": {"inner_lr": 0.5}}, "inner_lr: 0.1, there 0.5", True),
        ({"learner": {"model": "mlp"}}, "model: -, there mlp", True),
        ({"code": {"mine": "sha256:0a1b"}}, "code: -, there mine sha256:0a1b", True),
        ({"provenance": {"device": "H200"}}, "device: AMD EPYC, there H200", True),
        ({"provenance": {"threads": 2}}, "threads: 1, there 2", True),
    ],
    ids=str,
)
def test_what_differs_is_said(maml, changes, words, paired):
    ours = maml(provenance={"data": "2c3d"})
    changes = changes | {"provenance": {"data": "2c3d", **changes.get("provenance", {})}}
    line = the_line(ours, maml(**changes))
    assert line["Made otherwise"] == words
    assert line["Here − there"] == ("+0.0 ± 0.0 %" if paired else "other data: not paired")
    assert the_line(ours, ours)["Made otherwise"] == "-"


def test_what_was_tuned_alike_is_a_row_and_its_values_are_said(maml):
    ours, theirs = maml(), maml(learner={"inner_lr": 0.5})
    for records, value in ((ours, 0.1), (theirs, 0.5)):
        for record in records:
            record["tuned"] = {"values": {"inner_lr": value}, "trials": 4}
    line = the_line(ours, theirs)
    assert line["Made otherwise"] == "tuned to: inner_lr=0.1, there inner_lr=0.5"


def test_an_older_record_that_does_not_say_its_data_is_paired(maml):
    assert the_line(maml(), maml(provenance={"data": "0a1b"}))["Made otherwise"] == "-"


def test_values_are_of_the_runs_that_the_difference_is_of(maml):
    ours, theirs = maml(3), maml(2, gain=0.2)
    ours[2]["metrics"]["accuracy"]["mean"] = 0.1  # of a seed that they lack
    line = the_line(ours, theirs)
    assert (line["Here"], line["There"]) == ("80.0 %", "90.0 %")
    assert line["Here − there"] == "-10.0 ± 0.0 %"
    assert line["Made otherwise"] == "runs: 3, there 2, in both 2"


def test_other_seeds_are_not_paired(maml):
    line = the_line(maml(2)[:1], maml(2)[1:])
    assert line["Here − there"] == "no run in both: not paired"
    assert line["Made otherwise"] == "runs: 1, there 1, in both 0"
    assert line["There"] != "-"


def test_files_of_folds_that_only_one_has_keep_nothing_apart(maml):
    ours, theirs = maml(3), maml(2)
    for number, record in enumerate(ours):
        record["provenance"]["data"] = f"version {number}"
    for number, record in enumerate(theirs):
        record["provenance"]["data"] = f"version {number}"
    assert the_line(ours, theirs)["Here − there"] == "+0.0 ± 0.0 %"


def test_times_are_compared_where_one_machine_has_measured_both(maml):
    """The cost is measured beside the first run of a cell alone."""
    ours, theirs = maml(), maml(provenance={"threads": 2})
    for record in [*ours[1:], *theirs[1:]]:
        record["cost"] = None
    same = copy.deepcopy(ours)
    same[0]["cost"]["ms_per_iteration"] = 10.0
    assert the_line(ours, same)["Time"] == "2.00 times"
    assert the_line(ours, theirs)["Time"] == "another machine"
    assert the_line(ours, [r | {"cost": None} for r in ours])["Time"] == "-"
    theirs[0]["cost"] |= {"device": "AMD EPYC", "threads": 1}  # of the cost itself
    assert machine(theirs[0]) == ("AMD EPYC", 1)
    assert the_line(ours, theirs)["Time"] == "1.00 times"
    for records in (ours, same):
        del records[0]["provenance"]["device"]
    assert the_line(ours, same)["Time"] == "another machine"


def test_a_page_of_two_folders_with_nothing_in_common_says_so(maml, runs):
    text = page.html("results", maml(), (), runs("cub"), "theirs")
    assert "No row here was made like one there, so nothing is compared." in text
    assert "1 row is only here: glyphs 5-way 1-shot, MAML, second order." in text
    assert "3 rows are only there: cub 5-way 1-shot, MAML, second order; cub" in text


def test_many_rows_are_counted_and_a_few_named(maml, runs):
    theirs = [r for name in ("a", "b") for r in runs(name)]
    assert compare(maml(), theirs).sentences[-1].endswith("; and 3 more.")
