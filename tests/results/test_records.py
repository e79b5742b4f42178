import json
import re
import subprocess
import sys

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.results import records
from bench.results.run_files import RunFiles


def record(**experiment):
    """A small whole record, as a run leaves it."""
    key = experiment.setdefault("key", "glyphs-5way-1shot-maml-s0-1a2b3c4d")
    return {
        "schema": 1,
        "experiment": {
            "suite": "quick",
            "dataset": "glyphs",
            "algorithm": "maml",
            "ways": 5,
            "shots": 1,
            "queries": 15,
            "seed": 0,
            "iterations": 10,
            "data": {"ways": 5},
            "learner": {"inner_lr": 0.123456789012},
            **experiment,
            "key": key,
        },
        "synthetic": True,
        "chosen": "by hand",
        "metrics": {
            "headline": "accuracy",
            "higher_is_better": True,
            "accuracy": {"mean": 0.5, "ci95": float("nan"), "per_step": [0.2, 0.5]},
        },
        "evaluation": {
            "episodes": 3,
            "split": "test",
            "index": np.arange(3),
            "per_episode": {"accuracy": np.float32([0.1, 1 / 3, np.nan])},
        },
        "training": {
            "iterations": 10,
            "seconds": 1.23456789,
            "best_iteration": None,
            "validation": [(5, 0.4), (10, 0.5)],
        },
        "cost": None,
        "provenance": {"bench": "0.1.0", "dirty": False},
    }


def changed(field, value):
    whole = records._plain(record())
    *parents, last = field.split(".")
    part = whole
    for name in parents:
        part = part[name]
    if value is KeyError:
        del part[last]
    else:
        part[last] = value
    return whole


def test_written_and_read_back(tmp_path):
    path = RunFiles.of(tmp_path, record()["experiment"]).record
    assert path == tmp_path / "runs/quick/glyphs-5way-1shot-maml-s0-1a2b3c4d.json"
    records.write(path, record())
    text = path.read_text()
    back = records.read(path)
    assert back["evaluation"]["per_episode"]["accuracy"] == [0.1, 0.3333333, None]
    assert back["metrics"]["accuracy"]["ci95"] is None
    assert back["experiment"]["learner"]["inner_lr"] == 0.123456789012  # the key was made from it
    assert back["training"]["seconds"] == 1.234568
    assert '"index": [0, 1, 2],' in text
    assert list(back) == sorted(back)
    records.write(path, back)
    assert path.read_text() == text
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert records.read_all(tmp_path) == records.read_all(tmp_path, "quick") == [back]
    assert records.read_all(tmp_path, "other") == []


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("schema", 2, "schema is 2"),
        ("experiment.seed", KeyError, "experiment.seed is missing"),
        ("experiment", [], "experiment.suite is missing"),
        ("experiment.shots", True, "experiment.shots is bool"),
        ("experiment.suite", "../up", "experiment.suite must be letters"),
        ("experiment.key", "a/b", "experiment.key must be letters"),
        ("evaluation.per_episode.accuracy", [1e301, 1, 1], "accuracy must be a list of 3 numbers"),
        ("metrics.accuracy.mean", 10**400, "metrics.accuracy.mean is not a finite number"),
        ("provenance.commit", "\n", "provenance must hold plain"),
        ("chosen", "\x1b[31mred", "chosen holds control characters"),
        ("metrics.accuracy", KeyError, "metrics.accuracy.mean is missing"),
        ("metrics.headline", "auc", "evaluation.per_episode.auc is missing"),
        ("metrics.accuracy.per_step", ["a"], "metrics.accuracy.per_step must be"),
        ("evaluation.index", [0, 1, 1], "evaluation.index must hold different"),
        ("evaluation.index", [0, 1], "evaluation.index has 2 entries for 3"),
        ("evaluation.per_episode.accuracy", [0.1], "accuracy must be a list of 3 numbers"),
        ("training.validation", [[1]], "training.validation must hold"),
        ("cost", {"ms_per_iteration": 1.0}, "cost.ms_low is missing"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path, field, value, says):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(changed(field, value)))
    with pytest.raises(BenchError, match=f"a.json: .*{re.escape(says)}"):
        records.read(path)


@pytest.mark.parametrize("text", ["", "{", '{"schema": NaN}', "\xff", "[" * 100000])
def test_a_broken_file_is_named(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(BenchError, match=r"a.json is not a JSON file"):
        records.read(path)


def test_what_is_not_whole_is_not_written(tmp_path):
    with pytest.raises(BenchError, match="list of 3 numbers"):
        records.write(tmp_path / "a.json", changed("evaluation.per_episode.accuracy", [0.1]))
    assert not list(tmp_path.iterdir())


def test_a_run_that_diverged_is_a_result_too(tmp_path):
    path = tmp_path / "a.json"
    records.write(path, changed("evaluation.per_episode.accuracy", [np.nan] * 3))
    assert records.read(path)["evaluation"]["per_episode"]["accuracy"] == [None] * 3


def test_a_record_in_the_wrong_place_is_refused(tmp_path):
    records.write(tmp_path / "runs/quick/copy.json", record())
    with pytest.raises(BenchError, match=r"belongs at .*1a2b3c4d.json"):
        records.read_all(tmp_path)


def test_an_unwritable_folder_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match=r"cannot write .*choose another folder"):
        records.write(tmp_path / "file" / "a.json", record())
    with pytest.raises(BenchError, match="cannot be a file name"):
        RunFiles.of(tmp_path, {"suite": "..", "key": "a"})


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    records.write(path, record())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records.os, "fsync", full)
    with pytest.raises(BenchError, match="No space left"):
        records.write(path, changed("chosen", "otherwise"))
    assert records.read(path)["chosen"] == "by hand"
    assert len(list(tmp_path.iterdir())) == 1


def test_provenance_tells_versions_and_no_path():
    found = records.provenance()
    assert found["torch"]
    assert found["threads"] >= 1
    assert found["dirty"] in (True, False, None)
    assert "/" not in json.dumps({k: v for k, v in found.items() if k != "device"})
    assert records.provenance("a GPU")["device"] == "a GPU"


def test_torch_is_not_imported():
    heavy = (
        "import sys, bench.results.records, bench.results.tables; "
        "print({'torch', 'lightning'} & {*sys.modules})"
    )
    command = [sys.executable, "-c", heavy]
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == "set()"


def viewed(**changes):
    """A record tested at 1 and 5 answers shown: one student, then two."""
    whole = records._plain(record())
    one = {"mean": 0.1, "ci95": None, "per_step": [0.2, 0.1]}
    whole["evaluation"]["views"] = [
        {"shots": 1, "episodes": 1, "metrics": {"accuracy": one}, "recovery": {}},
        {
            "shots": 5,
            "episodes": 2,
            "metrics": {"accuracy": one | {"mean": 0.4}, "brier": one},
            "recovery": {"mastery_auc": 0.7},
        },
    ]
    whole["evaluation"]["views"][1] |= changes
    return whole


def test_views_are_expanded_to_a_record_each(tmp_path):
    records.write(tmp_path / "a.json", viewed())
    whole = records.read(tmp_path / "a.json")
    first, second, plain = records.by_shots([whole, changed("experiment.seed", 1)])
    assert [r["experiment"]["shots"] for r in (first, second)] == [1, 5]
    assert [r["evaluation"]["episodes"] for r in (first, second)] == [1, 2]
    assert second["evaluation"]["index"] == [1, 2]
    assert second["evaluation"]["per_episode"] == {"accuracy": [0.3333333, None]}
    assert second["metrics"]["accuracy"]["mean"] == 0.4
    assert second["metrics"]["headline"] == "accuracy"
    assert "brier" not in first["metrics"]
    assert second["recovery"] == {"mastery_auc": 0.7}
    assert "views" not in first["evaluation"]
    assert plain == changed("experiment.seed", 1)
    for part in (first, second):  # each is whole by itself, but for metrics it alone has
        records.check(part, tmp_path / "part.json")
    assert records.read(tmp_path / "a.json") == whole  # nothing was changed in place


METRIC = {"mean": 0.5, "ci95": None, "per_step": [0.5]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"episodes": 3}, "do not add up"),
        ({"episodes": 0}, "must hold episodes"),
        ({"episodes": -1}, "must hold episodes"),
        ({"episodes": True}, "must be a list of"),
        ({"shots": "5"}, "must be a list of"),
        ({"shots": 1}, "must differ in shots"),
        ({"extra": 1}, "must be a list of"),
        ({"metrics": {}}, "must hold accuracy"),
        ({"metrics": {"accuracy": 0.5}}, "must hold mean, ci95, per_step"),
        ({"metrics": {"accuracy": METRIC | {"mean": "high"}}}, "must hold mean, ci95, per_step"),
        ({"metrics": {"accuracy": METRIC | {"per_step": []}}}, "per_step must be numbers"),
        ({"metrics": {"accuracy": METRIC | {"per_step": [1e301]}}}, "per_step must be numbers"),
        ({"metrics": {"accuracy": METRIC, "\x1b[31m": METRIC}}, "metrics by name"),
        ({"metrics": {"accuracy": METRIC, "headline": METRIC}}, "must hold no headline"),
        ({"recovery": {"mastery_auc": "good"}}, "must hold accuracy and numbers"),
    ],
)
def test_a_wrong_view_is_named_with_its_file(tmp_path, change, says):
    with pytest.raises(BenchError, match=f"a.json: evaluation.views.*{re.escape(says)}"):
        records.write(tmp_path / "a.json", viewed(**change))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("views", [{}, None, "ab", [1], [[]]])
def test_views_are_a_list_of_views(tmp_path, views):
    with pytest.raises(BenchError, match=r"a.json: evaluation.views must be a list"):
        records.check(changed("evaluation.views", views), tmp_path / "a.json")
