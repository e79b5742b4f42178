"""What papers report: the facts are whole, and a result is called a reproduction only if it is."""

from pathlib import Path

import pytest

from bench.base import paths, registry
from bench.base.errors import BenchError
from bench.results import published, records, tables
from bench.results.views import by_shots

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "datasets").glob("*/published.csv"))


@pytest.fixture
def like_the_paper(new_record):
    """``like_the_paper(0.98)``: a record of the MAML paper's protocol on Omniglot."""

    def make(mean, algorithm="maml", filters=64, iterations=60_000, episodes=600):
        record = new_record(
            suite="paper", dataset="omniglot", algorithm=algorithm, queries=1, iterations=iterations
        )
        learner = {"batch_norm": "transductive", "model": None, "order": 2}
        learner |= {"model_options": {"filters": filters}}
        record["experiment"] |= {"learner": learner, "key": f"{algorithm}-{filters}"}
        record["training"]["iterations"] = iterations
        record["metrics"]["accuracy"] = {"mean": mean, "ci95": 0.01, "per_step": [0.2, mean]}
        record["evaluation"] |= {
            "episodes": episodes,
            "index": list(range(episodes)),
            "per_episode": {"accuracy": [mean] * episodes},
        }
        return record

    return make


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.parent.name)
def test_every_file_is_whole(path):
    rows = published.of_dataset(path.parent.name)
    assert len(rows) == len(path.read_text().splitlines()) - 1
    known = registry.names("algorithms")
    for row in rows:
        assert row.algorithm in (*known, "")
        assert row.source
        assert row.first_hand in ("yes", "no")
        assert row.interval is None or row.interval_is
        assert row.metric not in ("accuracy", "error_rate", "auc") or 0 < row.value < 1
    assert len(set(rows)) == len(rows)


def test_there_are_files():
    assert {"omniglot", "mini_imagenet", "cifar_fs"} <= {path.parent.name for path in FILES}


def test_another_network_or_shorter_training_is_told(like_the_paper):
    record = like_the_paper(0.95, filters=32, iterations=7500)
    row = published.beside(record, 2)
    assert (row.value, row.interval) == (0.987, 0.004)
    assert published.differences(row, record) == [
        "network: conv4 32, theirs conv4 64",
        "meta-iterations: 7500, theirs 60000",
    ]
    assert "| 98.7 ± 0.4 % ≠" in tables.to_markdown([record])
    assert "≠ where its protocol differs" in tables.to_markdown([record])
    assert r"$\neq$" in tables.to_latex([record])


def test_the_same_protocol_is_a_reproduction_or_says_by_how_much_not(like_the_paper):
    assert "98.7 ± 0.4 % (reproduced)" in tables.to_markdown([like_the_paper(0.984)])
    text = tables.to_markdown([like_the_paper(0.976)])
    assert "98.7 ± 0.4 % (ours is off by -1.1 %)" in text


def test_what_nobody_reports_has_no_column(new_record):
    assert published.of_dataset("glyphs") == published.of_dataset("../omniglot") == ()
    assert "Published" not in tables.to_markdown([new_record()])


def test_a_source_that_says_too_little_is_not_reproduced(like_the_paper):
    """The first-order row does not say how long it was trained."""
    record = like_the_paper(0.983, "fomaml")
    row = published.beside(record, 1)
    assert published.differences(row, record) == ["theirs has unstated parts"]


def test_a_line_that_is_wrong_is_named(tmp_path, monkeypatch):
    head = ",".join(published.Published.__struct_fields__)
    (tmp_path / "published.csv").write_text(f"{head}\nMAML,maml,two{',' * 15}\n")
    monkeypatch.setattr(paths, "facts", lambda dataset: tmp_path)
    with pytest.raises(BenchError, match=r"published\.csv, line 2: .*mend that line"):
        published.of_dataset("made_up_for_this_test")


def test_committed_results_claim_only_what_they_reach():
    """Each lies within the published interval, or says by how much not, or says what differs."""
    compared = 0
    for record in by_shots(records.read_all(ROOT / "results")):
        order = (record.get("algorithm") or {}).get("order")
        row = published.beside(record, order)
        if row is None or record["experiment"]["suite"].endswith("-tuning"):
            continue
        compared += 1
        mean = record["metrics"][row.metric]["mean"]
        if not published.differences(row, record):
            inside = abs(mean - row.value) <= (row.interval or 0)
            assert inside == (published.reached(row, mean) == "reproduced")
    assert compared
