"""Which method to take: ranks, wins, and what they rest on."""

import pytest

from bench.cli.main import main
from bench.results import records as files
from bench.results.across import across, caption, display
from bench.results.failed import Failure
from bench.results.run_files import RunFiles

SECOND, FIRST, RANDOM = "MAML, second order", "MAML, first order", "fine-tune from random init"


@pytest.fixture
def result(new_record):
    """``result("cub", "maml", 0.9)``: a record with that accuracy."""

    def make(dataset, algorithm, mean, seed=0, shots=1, ms=10.0, **experiment):
        record = new_record(
            dataset=dataset, algorithm=algorithm, seed=seed, shots=shots, **experiment
        )
        record["experiment"]["key"] = f"{dataset}-{shots}shot-{algorithm}-s{seed}"
        record["metrics"]["accuracy"] = {"mean": mean, "ci95": 0.01, "per_step": [mean]}
        record["evaluation"]["per_episode"] = {"accuracy": [mean] * 3}
        record["cost"] = {
            "ms_per_iteration": ms,
            "ms_low": ms,
            "ms_high": ms,
            "peak_memory_mib": 1.0,
            "parameters": 1,
        }
        return record

    return make


def wins(ranking):
    """Rounded percentages, in order."""
    return {row.method: round(100 * row.wins) for row in ranking.rows.itertuples()}


def test_wins_by_hand(result):
    """Three methods: 1 2 3 on one data set, 2 1 3 on the other."""
    found = [
        *(result("cub", a, m, ms=t) for a, m, t in (("maml", 0.9, 20), ("fomaml", 0.8, 10))),
        *(result("omniglot", a, m, ms=t) for a, m, t in (("maml", 0.7, 40), ("fomaml", 0.8, 10))),
        *(result(d, "random_init", 0.5) for d in ("cub", "omniglot")),
    ]
    (ranking,) = across(found)
    rows = ranking.rows.set_index("method")
    assert (ranking.kind, ranking.datasets, ranking.seeds) == ("images", 2, (1, 1))
    assert rows["wins"].to_dict() == {FIRST: 0.75, SECOND: 0.75, RANDOM: 0}
    assert rows["place"].to_dict() == {FIRST: 1, SECOND: 1, RANDOM: 3}
    assert rows.loc[SECOND, "times"] == pytest.approx(8**0.5)  # of 2 and 4
    shown = display(ranking)
    assert shown["Wins"].tolist() == ["75 %", "75 %", "0 %"]
    assert "95 % interval" not in shown  # of two data sets
    assert "The interval" not in caption(ranking)
    assert "Over 2 data sets, 1 run of a method in each setting" in caption(ranking)
    assert "One seed each" in caption(ranking)


def test_nothing_is_ranked_where_only_one_method_was_run(result):
    alone = [result(d, "maml", 0.9) for d in ("cub", "omniglot")]
    assert across(alone) == []
    assert across([*alone, result("cub", "fomaml", 0.8)]) == []  # compared on one data set only


def test_settings_of_a_data_set_count_as_one(result):
    """Second order is ahead in one of four settings here, and on the other data set."""
    found = [result("cub", "maml", 0.9), result("cub", "fomaml", 0.8)]
    for shots in (1, 2, 3, 4):
        second = 0.9 if shots == 1 else 0.7
        found += [result("omniglot", "maml", second, shots=shots)]
        found += [result("omniglot", "fomaml", 0.8, shots=shots)]
    (ranking,) = across(found)
    assert ranking.rows["wins"].tolist() == pytest.approx([0.625, 0.375])


def test_every_setting_of_a_data_set_counts(result):
    """The largest has no say over those with fewer methods or other ones."""
    ranked = {"fomaml": 0.7, "maml": 0.8, "random_init": 0.6}
    found = [result("cub", a, m) for a, m in ranked.items()]
    for suite, algorithms in {
        "large": ("fomaml", "maml", "random_init", "proto_net"),
        "small": ("maml", "fomaml"),
        "other": ("random_init", "maml"),
    }.items():
        means = zip(algorithms, (0.9, 0.8, 0.7, 0.6))
        found += [result("omniglot", a, m, suite=suite) for a, m in means]
    (ranking,) = across(found)
    rows = ranking.rows.set_index("method")["wins"]
    # MAML wins once on cub and in one setting of two here, against each of the others
    assert rows[[SECOND, FIRST, RANDOM]].tolist() == [0.75, (0.25 + 1) / 2, (0.25 + 0) / 2]
    assert "Not counted" not in caption(ranking)


def test_weak_opponents_do_not_make_a_better_method(result):
    """First order always loses to MAML, which meets stronger ones; on other data it meets a floor.

    The share of the others that they beat on a data set, on average: a half against a third.
    """
    strong = {"proto_net": 0.9, "r2d2": 0.95, "maml": 0.8, "fomaml": 0.7}
    found = [result(d, a, m) for d in "abc" for a, m in strong.items()]
    found += [result(d, a, m) for d in "def" for a, m in (("fomaml", 0.7), ("random_init", 0.2))]
    (ranking,) = across(found)
    assert wins(ranking)[SECOND] == 33  # one of three
    assert wins(ranking)[FIRST] == 25  # one of four
    assert ranking.rows["place"].notna().all()


def test_a_run_that_diverged_is_the_worst(result):
    """Third order of three on one data set, first on the other two: without it, it won all."""
    found = [result(d, a, m) for d in "abc" for a, m in (("maml", 0.9), ("fomaml", 0.8))]
    found += [result(d, "random_init", 0.5) for d in "abc"]
    left = [r for r in found if r["experiment"]["key"] != "c-1shot-maml-s0"]
    (gone,) = (r["experiment"] for r in found if r["experiment"]["key"] == "c-1shot-maml-s0")
    (ranking,) = across(left, [Failure("k", "not finite", False, gone, diverged=True)])
    rows = ranking.rows.set_index("method")
    assert rows["wins"].to_dict() == pytest.approx({FIRST: 2 / 3, SECOND: 2 / 3, RANDOM: 1 / 6})
    assert rows.loc[SECOND, "datasets"] == 3
    # a mishap says nothing of the method
    for message in (across(left, [Failure("k", "killed", True, gone)]), across(left)):
        assert wins(message[0])[SECOND] == 100
        assert message[0].rows.set_index("method").loc[SECOND, "datasets"] == 2


def diverged(record):
    return Failure(record["experiment"]["key"], "not finite", False, record["experiment"], True)


def test_only_the_run_that_diverged_is_the_worst(result):
    """Not one of another length, nor one with other arguments, whatever they are called."""
    found = [result(d, a, m) for d in "ab" for a, m in (("maml", 0.9), ("fomaml", 0.8))]
    longer = [result("a", "maml", 0.9, iterations=9), result("a", "fomaml", 0.8, iterations=9)]
    short = result("b", "maml", 0.7, iterations=5)
    (ranking,) = across([*found, *longer], [diverged(short)])
    assert wins(ranking)[SECOND] == 100

    other = result("b", "maml", 0.7)
    other["experiment"]["learner"] = {"inner_lr": 0.5}
    (ranking,) = across(found, [diverged(other)])
    assert wins(ranking)[SECOND] == 100
    of_tuned = [*found[:3], result("b", "maml", 0.9, seed=1), result("b", "fomaml", 0.8, seed=1)]
    of_tuned[-2]["tuned"] = {"values": {"inner_lr": 0.123456789012}, "trials": 3}
    of_tuned = [r for r in of_tuned if r is not found[2]]
    found_b = result("b", "fomaml", 0.8)
    (ranking,) = across([*of_tuned, found_b], [diverged(other)])  # tuned to another value
    assert wins(ranking)[SECOND] == 50


def test_a_method_that_only_diverged_on_a_data_set_is_the_worst_there(result):
    found = [result(d, a, m) for d in "ab" for a, m in (("maml", 0.9), ("fomaml", 0.8))]
    found += [result("b", "random_init", 0.2), result("a", "random_init", 0.2)]
    (ranking,) = across([r for r in found if r is not found[2]], [diverged(found[2])])
    assert wins(ranking)[SECOND] == 50


def test_all_sources_of_a_training_that_diverged_are_lost(result):
    found = [result("a", a, m) for a, m in (("maml", 0.9), ("fomaml", 0.8))]
    for source in "bc":
        for algorithm, mean in (("fomaml", 0.8), ("random_init", 0.2)):
            found.append(result(f"x → {source}", algorithm, mean))
            found[-1]["experiment"]["data"] |= {"train_datasets": ["x"]}
    lost = result("meta_dataset", "maml", 0.9)
    lost["experiment"]["data"] |= {"train_datasets": ["x"]}
    (ranking,) = across(found, [diverged(lost)])
    assert wins(ranking)[SECOND] == 50
    lost["experiment"]["data"]["train_datasets"] = ["y"]  # then only first order was run on both
    assert across(found, [diverged(lost)]) == []


def test_all_that_one_training_is_tested_on_is_one_data_set(result):
    """Second order wins on one source of three, and on the only other data set loses."""
    found = [result("cub", "maml", 0.7), result("cub", "fomaml", 0.8)]
    for source, second in (("omniglot", 0.9), ("quickdraw", 0.7), ("cub", 0.7)):
        for algorithm, mean in (("maml", second), ("fomaml", 0.8)):
            record = result(f"omniglot → {source}", algorithm, mean)
            record["experiment"]["data"] |= {"train_datasets": ["omniglot"]}
            found.append(record)
    (ranking,) = across(found)
    assert ranking.datasets == 2
    assert wins(ranking) == {FIRST: round(100 * (1 + 2 / 3) / 2), SECOND: 17}


def test_only_the_longest_training_of_a_method_counts(result):
    """Of a suite with several: it would win against itself."""
    found = [result("cub", a, m) for a, m in (("maml", 0.8), ("fomaml", 0.9))]
    found += [
        result("omniglot", a, m, iterations=n)
        for n, means in {1000: (0.7, 0.6), 20000: (0.8, 0.95), 5000: (0.9, 0.7)}.items()
        for a, m in zip(("maml", "fomaml"), means)
    ]
    (ranking,) = across(found)
    assert wins(ranking) == {FIRST: 100, SECOND: 0}
    left_out = f"Not counted: the shorter trainings of {SECOND}; {FIRST} on omniglot in suite quick"
    assert left_out in caption(ranking)


def test_a_method_with_fewer_seeds_takes_none_from_the_others(result):
    """Seed 0 alone would turn the order round."""
    found = [result(d, "random_init", 0.1) for d in ("cub", "omniglot")]
    for seed, second in enumerate((0.5, 0.9, 0.9)):
        found += [result(d, "maml", second, seed) for d in ("cub", "omniglot")]
        found += [result(d, "fomaml", 0.6, seed) for d in ("cub", "omniglot")]
    (ranking,) = across(found)
    assert wins(ranking) == {SECOND: 100, FIRST: 50, RANDOM: 0}
    assert ranking.seeds == (1, 3)


def test_runs_are_counted_where_they_are_compared(result):
    found = [result(d, a, m) for d in "ab" for a, m in (("maml", 0.9), ("fomaml", 0.8))]
    found += [result("a", "maml", 0.9, seed, shots=5) for seed in range(4)]  # alone there
    (ranking,) = across(found)
    assert ranking.seeds == (1, 1)


def test_what_was_seen_on_few_data_sets_has_no_place(result):
    """However often it wins; with three data sets it has an interval all the same."""
    means = {"maml": 0.8, "fomaml": 0.7, "proto_net": 0.9, "anil": 0.75, "reptile": 0.6}
    only = {"proto_net": "a", "anil": "abc", "reptile": "a"}
    found = [result(d, a, m) for a, m in means.items() for d in only.get(a, "abcdefg")]
    (ranking,) = across(found)
    shown = display(ranking).set_index("Method")
    assert shown["Place"].tolist() == ["1", "2", "-", "-", "-"]
    assert shown["Wins"].tolist() == ["100 %", "0 %", "50 %", "100 %", "0 %"]
    assert shown.loc["ProtoNet", ["95 % interval", "Data sets"]].tolist() == ["-", "1 of 7"]
    assert (shown["95 % interval"] == "-").tolist() == [False, False, False, True, True]
    assert f'"{SECOND}" stays first, and all of the pairs' in caption(ranking)
    assert "No place: run on fewer than half" in caption(ranking)


def test_one_data_set_of_two_makes_no_first_place(result):
    found = [result(d, a, m) for d in "ab" for a, m in (("maml", 0.8), ("fomaml", 0.7))]
    found += [result("a", "r2d2", 0.9)]
    (ranking,) = across(found)
    assert display(ranking)["Place"].tolist() == ["1", "2", "-"]


def test_of_many_without_a_place_the_first_are_shown_and_the_others_named(result):
    found = [result(d, a, m) for d in "abc" for a, m in (("maml", 0.8), ("fomaml", 0.7))]
    found += [result("a", f"new_{n:02}", 0.5 + n / 100) for n in range(15)]
    (ranking,) = across(found)
    shown = display(ranking)["Method"].tolist()
    assert shown == [SECOND, FIRST, *(f"new {n:02}" for n in range(14, 1, -1))]
    assert "Not shown, in this order: new 01; new 00." in caption(ranking)


def test_methods_that_met_nobody_with_a_place(result):
    """On one data set of four by themselves, or each on data sets of its own."""
    found = [result(d, a, m) for d in "abc" for a, m in (("maml", 0.8), ("fomaml", 0.7))]
    found += [result("d", a, m) for a, m in (("proto_net", 0.8), ("anil", 0.7))]
    (ranking,) = across(found)
    shown = display(ranking).set_index("Method")
    assert shown.loc["ProtoNet", ["Place", "Wins", "Data sets"]].tolist() == ["-", "-", "1 of 4"]
    apart = {"a": ("maml", "anil"), "b": ("fomaml", "reptile"), "c": ("proto_net", "cnp")}
    assert across([result(d, a, 0.5) for d, methods in apart.items() for a in methods]) == []


def test_the_same_records_give_the_same_text(result):
    found = [
        result(d, a, 0.5 + (seed * 7 + len(a) * len(d)) % 10 / 20, seed)
        for d in ("cub", "omniglot", "glyphs")
        for a in ("maml", "fomaml", "proto_net", "reptile")
        for seed in range(3)
    ]
    (one,), (other,) = across(found), across(found[::-1])
    assert display(one).equals(display(other))
    assert caption(one) == caption(other)


def test_seeds_are_drawn_by_their_number(result):
    """On the seeds that both have, MAML is ahead by each; what one has alone adds to that."""
    found = []
    for dataset in "abc":
        found += [result(dataset, "maml", m, s) for s, m in ((0, 0.95), (1, 0.1), (2, 0.9))]
        found += [result(dataset, "fomaml", m, s) for s, m in ((1, 0.09), (2, 0.89), (3, 0))]
    (ranking,) = across(found)
    assert ranking.rows.loc[0, ["method", "low", "high"]].tolist() == [SECOND, 1, 1]


def test_the_interval_covers_seeds_too(result):
    """Ahead by each of three seeds, or by their mean alone."""

    def bounds(seconds):
        found = []
        for dataset in ("cub", "omniglot", "glyphs"):
            for seed, second in enumerate(seconds):
                found += [result(dataset, "maml", second, seed)]
                found += [result(dataset, "fomaml", 0.5, seed)]
        (ranking,) = across(found)
        row = ranking.rows.iloc[0]
        assert "With one seed of each instead of all, " in caption(ranking)
        return row["low"], row["high"]

    assert bounds([0.6, 0.61, 0.62]) == (1, 1)
    low, high = bounds([0.9, 0.45, 0.45])
    assert low < 0.7
    assert high == 1


def test_what_diverged_is_the_worst_and_what_knows_the_truth_does_not_compete(result):
    found = [result(d, a, 0.5) for d in ("cub", "omniglot") for a in ("maml", "fomaml", "bayes")]
    found[0]["metrics"]["accuracy"]["mean"] = None
    (ranking,) = across(found)
    assert wins(ranking) == {FIRST: 75, SECOND: 25}


def test_a_first_place_that_hangs_on_one_data_set_is_told(result):
    means = {"cub": (0.99, 0.5), "omniglot": (0.5, 0.6), "glyphs": (0.8, 0.7)}
    found = [result(d, a, m) for d, both in means.items() for a, m in zip(("maml", "fomaml"), both)]
    (ranking,) = across(found)
    assert "the first place is lost or shared in 2 of 3" in caption(ranking)
    steady = [result(d, a, m) for d in means for a, m in (("maml", 0.9), ("fomaml", 0.8))]
    assert f'"{SECOND}" stays first, and all of the pairs' in caption(across(steady)[0])


def test_the_command_prints_it(tmp_path, result, monkeypatch, capsys, refused):
    for record in (result(d, a, 0.5) for d in ("cub", "omniglot") for a in ("maml", "fomaml")):
        files.write(RunFiles.locate(tmp_path / "mine", record["experiment"]).record, record)
    monkeypatch.chdir(tmp_path)
    for form, words in (
        ("terminal", "Which method to take, images"),
        ("markdown", "| MAML, second order"),
        ("latex", r"\toprule"),
        ("csv", "method,datasets,place,rank,wins"),
    ):
        assert main(["table", "--across", "quick", "--out", "mine", "--format", form]) == 0
        assert words in capsys.readouterr().out
    refused("table quick --across quick --out mine", "name the suites after --across")
    refused("table --across other --out mine", "no records of suite 'other'")
    files.write(RunFiles.locate(tmp_path / "one", record["experiment"]).record, record)
    refused("table --across --out one", "two data sets of a kind or more")
