"""The sentences at the top say what the records say, and no more."""

import pytest

from bench.results.report.answer import pairs, sentences
from bench.results.tables import summary


def test_a_pair_is_the_gain_its_price_and_its_verdict(runs):
    (pair,) = pairs(summary(runs("omniglot", seeds=3, gain=0.15)))
    assert pair.gain.startswith("+15.0")
    assert pair.share == pytest.approx(0.5, abs=0.02)  # of the .3 that first order leaves wrong
    assert (pair.times, pair.memory, pair.runs) == (2, 2, 3)
    assert pair.verdict == "second order ahead"
    assert pair.is_judged


def test_the_answer_counts_verdicts_apart_from_single_seeds(runs):
    records = [
        *runs("omniglot", seeds=3, gain=0.15),
        *runs("cub", seeds=3, gain=-0.03),
        *runs("glyphs", seeds=1, gain=0.03),
    ]
    text = " ".join(sentences(pairs(summary(records))))
    assert "better mean in 2 of 3 comparisons" in text
    assert "helps most on omniglot (5-way 1-shot, MAML): +15.0" in text
    assert "2.0 times the time (2.0 to 2.0) and 2.0 times the memory" in text
    assert "Of 2 comparisons with three seeds or more (or folds, or versions), second" in text
    assert "second order is ahead in 1, first order in 1, and in 0 no difference" in text
    assert "1 comparison rests on one or two seeds" in text


def test_nothing_to_compare_is_said(runs):
    table = summary(runs("omniglot")[1:])
    assert pairs(table) == []
    assert "nothing to compare" in sentences([])[0]


def test_where_less_is_better_a_smaller_error_is_a_gain(runs):
    records = runs("omniglot", seeds=3, gain=-0.35)
    for record in records:
        record["metrics"]["higher_is_better"] = False
        record["metrics"]["headline"] = "mse"
        record["metrics"]["mse"] = record["metrics"].pop("accuracy")
        values = record["evaluation"]["per_episode"]
        values["mse"] = values.pop("accuracy")
    (pair,) = pairs(summary(records))
    assert pair.share == pytest.approx(0.5, abs=0.02)
    assert pair.verdict == "second order ahead"
