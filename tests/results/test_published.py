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
    """``like_the_paper(0.48, iterations=10)``: the MAML paper's protocol on miniImageNet.

    What is named is otherwise: an argument of the data or the learner, or how long it was trained
    and tested.
    """

    def make(mean, dataset="mini_imagenet", algorithm="maml", iterations=60_000, **changes):
        record = new_record(
            suite="paper", dataset=dataset, algorithm=algorithm, queries=1, iterations=iterations
        )
        learner = {"batch_norm": "transductive", "model": None, "order": 2}
        learner |= {"model_options": {"filters": 32}, "inner_steps": 5, "test_steps": 10}
        data = {"rotations": "none", "augmentation": [], "train_ways": None}
        learner |= {n: v for n, v in changes.items() if n in learner}
        data |= {n: v for n, v in changes.items() if n not in learner and n != "episodes"}
        record["experiment"] |= {"learner": learner, "data": data, "key": algorithm}
        record["training"]["iterations"] = iterations
        episodes = changes.get("episodes", 600)
        record["metrics"]["accuracy"] = {"mean": mean, "ci95": 0.01, "per_step": [0.2, mean]}
        record["evaluation"] |= {
            "episodes": episodes,
            "index": list(range(episodes)),
            "per_episode": {"accuracy": [mean] * episodes},
        }
        return record

    return make


def differences(record):
    return published.differences(published.beside(record, 2), record)


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
    record = like_the_paper(0.45, model_options={"filters": 40}, iterations=7500)
    row = published.beside(record, 2)
    assert (row.value, row.interval) == (0.487, 0.0184)
    assert differences(record) == [
        "network: conv4 40, theirs conv4 32",
        "meta-iterations: 7500, theirs 60000",
    ]
    assert "| 48.7 ± 1.8 % ≠" in tables.to_markdown([record])
    assert (
        "≠ where its protocol differs, such as in the network or the length of training, or is"
        in tables.to_markdown([record])
    )
    assert r"$\neq$" in tables.to_latex([record])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inner_steps": 1}, "inner steps: 1, theirs 5"),
        ({"test_steps": None}, "test steps: 5, theirs 10"),
        ({"rotations": "all"}, "rotations: all, theirs none"),
        ({"train_ways": 20}, "training ways: 20, theirs 5"),
        ({"augmentation": ["crop"]}, "not said of theirs: augmentation"),
        ({"batch_norm": "support"}, "batch norm: support, theirs transductive"),
        (
            {"model_options": {"filters": 32, "weights": "classifier-0a1b"}},
            "pretraining: yes, theirs no",
        ),
        (
            {"model_options": {"filters": 32, "downsample": "stride"}},
            "network: conv4 32, downsample stride, theirs conv4 32",
        ),
        (
            {"model_options": {"filters": [32, 32, 64, 64]}},
            "network: conv4 32-32-64-64, theirs conv4 32",
        ),
    ],
    ids=str,
)
def test_each_part_of_a_protocol_that_differs_is_told(like_the_paper, change, words):
    assert differences(like_the_paper(0.48)) == []
    assert differences(like_the_paper(0.48, **change)) == [words]
    assert "reproduced" not in tables.to_markdown([like_the_paper(0.48, **change)])


def test_another_split_is_told(like_the_paper):
    """The MAML paper's own of Omniglot cannot be had: the card says why."""
    ours = {"split": "vinyals", "rotations": "train", "inner_steps": 1, "test_steps": 3}
    network = {"filters": 64, "average": True}
    record = like_the_paper(0.985, "omniglot", model_options=network, **ours)
    assert differences(record) == [
        "split: vinyals, theirs 1100/100/423 of their own",
        "rotations: train, theirs all",
    ]


@pytest.mark.parametrize(
    ("name", "differs"), [("omniglot_paper", "split: vinyals"), ("mini_paper", "queries: 15")]
)
def test_the_papers_suites_differ_from_the_paper_in_one_thing_that_they_say(name, differs):
    for e in registry.load("suites", name).experiments(["maml"], seeds=[0]):
        record = {"experiment": e.fields, "training": {"iterations": e.iterations}}
        record["metrics"] = {"headline": "accuracy"}
        record["evaluation"] = {"episodes": e.data_arguments["test_episodes"]}
        row = published.beside(record, 2)
        found = published.differences(row, record)
        assert [d for d in found if not d.startswith(differs)] == [], e


def test_the_same_protocol_is_a_reproduction_or_says_by_how_much_not(like_the_paper):
    assert "48.7 ± 1.8 % (reproduced)" in tables.to_markdown([like_the_paper(0.484)])
    text = tables.to_markdown([like_the_paper(0.461)])
    assert "48.7 ± 1.8 % (ours is off by -2.6 %)" in text


@pytest.mark.parametrize("mean", [None, float("nan")])
def test_nothing_is_said_of_a_run_that_diverged(like_the_paper, mean):
    assert published.reached(published.beside(like_the_paper(0.484), 2), mean) == ""


def test_a_source_that_names_no_network_comes_after_the_paper(like_the_paper):
    """One of another network is as far away, and came first."""
    record = like_the_paper(0.5, algorithm="meta_curvature", model_options={"filters": 40})
    assert published.beside(record, 2).method == "Meta-Curvature"
    assert {r.backbone for r in published.of_dataset("mini_imagenet")} >= {"", "conv4 128"}


def test_what_is_not_told_is_no_difference_and_no_reproduction(like_the_paper):
    record = like_the_paper(0.48, augmentation=["crop"])
    row = tables.summary([record]).iloc[0]
    assert row["published_note"] == "not said of theirs: augmentation"
    assert "48.7 ± 1.8 % ≠" in tables.to_markdown([record])


def test_what_nobody_reports_has_no_column(new_record):
    assert published.of_dataset("glyphs") == published.of_dataset("../omniglot") == ()
    assert "Published" not in tables.to_markdown([new_record()])


def test_a_source_that_says_too_little_is_not_reproduced(like_the_paper):
    """How long they trained is known, and how many queries they asked is not."""
    record = like_the_paper(0.65, algorithm="reptile", iterations=100_000, episodes=10_000)
    record["experiment"]["learner"] |= {"inner_steps": 8, "test_steps": 50}
    assert published.beside(record, None).value == 0.4997
    assert differences(record) == ["not said of theirs: queries"]
    record["training"]["iterations"] = 10  # which hides nothing of what is not known
    assert differences(record)[-1] == "not said of theirs: queries"


def test_a_line_that_is_wrong_is_named(tmp_path, monkeypatch):
    head = ",".join(published.Published.__struct_fields__)
    (tmp_path / "published.csv").write_text(f"{head}\nMAML,maml,two{',' * 20}\n")
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
