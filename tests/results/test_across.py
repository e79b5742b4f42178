"""Which method to take: ranks, wins, and what they rest on."""

import pytest

from bench.cli.main import main
from bench.results import records as files
from bench.results.across import across, caption, display
from bench.results.run_files import RunFiles


@pytest.fixture
def result(new_record):
    """``result("cub", "maml", 0.9)``: a record with that accuracy."""

    def make(dataset, algorithm, mean, seed=0, shots=1, ms=10.0):
        record = new_record(dataset=dataset, algorithm=algorithm, seed=seed, shots=shots)
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


def test_ranks_and_wins_by_hand(result):
    """Three methods: ranks 1 2 3 on one data set, 2 1 3 on the other."""
    found = [
        *(result("cub", a, m, ms=t) for a, m, t in (("maml", 0.9, 20), ("fomaml", 0.8, 10))),
        *(result("omniglot", a, m, ms=t) for a, m, t in (("maml", 0.7, 40), ("fomaml", 0.8, 10))),
        *(result(d, "random_init", 0.5) for d in ("cub", "omniglot")),
    ]
    (ranking,) = across(found)
    rows = ranking.rows.set_index("method")
    assert (ranking.kind, ranking.datasets, ranking.seeds) == ("images", 2, (1, 1))
    assert rows["rank"].tolist() == [1.5, 1.5, 3]
    assert rows["wins"].tolist() == [0.75, 0.75, 0]
    assert rows.loc["MAML, second order", ["low", "high"]].tolist() == [0.5, 1]
    assert rows.loc["MAML, second order", "times"] == pytest.approx(8**0.5)  # of 2 and 4
    assert display(ranking)["Wins"].tolist() == ["75 %", "75 %", "0 %"]
    assert "Over 2 data sets, 1 run of a method on each" in caption(ranking)
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
    assert ranking.rows["method"].tolist() == ["MAML, first order", "MAML, second order"]
    assert ranking.rows["wins"].tolist() == [0.75, 0.25]


def test_a_first_place_that_hangs_on_one_data_set_is_told(result):
    means = {"cub": (0.99, 0.5), "omniglot": (0.5, 0.6), "glyphs": (0.8, 0.7)}
    found = [result(d, a, m) for d, both in means.items() for a, m in zip(("maml", "fomaml"), both)]
    (ranking,) = across(found)
    assert "the first place is lost or shared in 2 of 3" in caption(ranking)
    steady = [result(d, a, m) for d in means for a, m in (("maml", 0.9), ("fomaml", 0.8))]
    assert '"MAML, second order" stays first, and 100%' in caption(across(steady)[0])


def test_the_command_prints_it(tmp_path, result, monkeypatch, capsys, refused):
    for record in (result(d, a, 0.5) for d in ("cub", "omniglot") for a in ("maml", "fomaml")):
        files.write(RunFiles.locate(tmp_path / "mine", record["experiment"]).record, record)
    monkeypatch.chdir(tmp_path)
    for form, words in (
        ("terminal", "Which method to take, images"),
        ("markdown", "| MAML, second order"),
        ("latex", r"\toprule"),
        ("csv", "method,datasets,rank,wins"),
    ):
        assert main(["table", "--across", "quick", "--out", "mine", "--format", form]) == 0
        assert words in capsys.readouterr().out
    refused("table quick --across quick --out mine", "name the suites after --across")
    refused("table --across other --out mine", "no records of suite 'other'")
    files.write(RunFiles.locate(tmp_path / "one", record["experiment"]).record, record)
    refused("table --across --out one", "two data sets of a kind or more")
