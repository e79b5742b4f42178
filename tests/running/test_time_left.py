import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.cli import main as cli
from bench.running import time_left
from bench.running.experiment import Experiment

RECORDED = next(Path("results/runs/quick").glob("glyphs-5way-1shot-maml-s0-*.json"))


@pytest.fixture
def out(tmp_path):
    """A folder with the record of one training: 500 iterations in 50 seconds."""
    record = json.loads(RECORDED.read_text())
    record["training"] |= {"iterations": 500, "seconds": 50.0}
    path = tmp_path / "runs" / "quick" / RECORDED.name
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record))
    return tmp_path


@pytest.fixture
def recorded():
    """The experiment of that record."""
    fields = json.loads(RECORDED.read_text())["experiment"]
    names = ("suite", "dataset", "algorithm", "iterations", "validations", "data", "learner")
    return Experiment(**{name: fields[name] for name in names})


def test_time_left_is_estimated_from_the_runs_so_far(recorded):
    experiments = [recorded, replace(recorded, seed=1)]
    assert time_left.by_runs_so_far(experiments, {}) == ""
    assert "0:00:20 left" in time_left.by_runs_so_far(experiments, {"glyphs": [5.0, 15.0]})


def test_records_tell_how_long_other_seeds_lengths_and_rates_take(out, recorded):
    data = {**recorded.data, "seed": 7, "val_episodes": 9}
    longer = replace(recorded, iterations=30_000, data=data)
    assert recorded.iterations == 900
    other_rate = replace(recorded, learner={**recorded.learner, "inner_lr": 0.77})
    said = time_left.by_records([longer, other_rate], out)
    assert said.startswith("About 0:51:30 of training in all"), said


def test_what_takes_another_time_is_not_told_by_a_record(out, recorded):
    costlier = replace(recorded, learner={**recorded.learner, "inner_steps": 9})
    assert "not known" in time_left.by_records([costlier], out)
    said = time_left.by_records([costlier, replace(recorded, seed=1)], out)
    assert "for 1 of 2 runs" in said, said


def test_a_record_that_does_not_say_how_long_it_took_tells_nothing(out, recorded):
    (path,) = out.glob("runs/quick/*.json")
    record = json.loads(path.read_text())
    record["training"]["seconds"] = None
    path.write_text(json.dumps(record))
    assert "not known" in time_left.by_records([replace(recorded, seed=1)], out)


def test_nothing_is_said_of_what_is_not_trained(out, recorded):
    assert time_left.by_records([], out) == ""
    assert time_left.by_records([replace(recorded, iterations=0)], out) == ""


def test_a_dry_run_says_how_long_the_rest_takes(out, capsys):
    command = ["run", "quick", "--datasets", "glyphs", "--algorithms", "maml", "--dry-run"]
    assert cli.main([*command, "--seeds", "3", "--out", str(out)]) == 0
    assert "training in all, one run after the other" in " ".join(capsys.readouterr().out.split())


def test_a_broken_record_is_named(out, recorded):
    path = out / "runs" / "quick" / RECORDED.name
    path.write_text("{")
    with pytest.raises(BenchError, match=RECORDED.name):
        time_left.by_records([recorded], out)
