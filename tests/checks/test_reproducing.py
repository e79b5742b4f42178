import json

import numpy as np
import pytest
import torch

from bench.base import checksums
from bench.base.errors import BenchError
from bench.checks import reproducing
from bench.cli import main as cli
from bench.results import records
from bench.running import training
from bench.running.experiment import Experiment
from bench.running.machine import Machine


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    data = {"val_episodes": 10, "test_episodes": 20, "shots": 5}
    experiment = Experiment("tiny", "sinusoid", "maml", 6, 2, data=data)
    found = experiment.files(out).record
    records.write(found, training.train(experiment, out, machine=Machine("cpu"), progress=False))
    return found


def changed(path, tmp_path, change):
    record = json.loads(path.read_text())
    change(record)
    copy = tmp_path / path.name
    copy.write_text(json.dumps(record))
    return str(copy)


def test_a_record_comes_out_again(path, capsys):
    before = sorted(path.parent.rglob("*"))
    assert cli.main(["reproduce", str(path), "--accelerator", "cpu"]) == 0
    said = capsys.readouterr().out
    assert said.count("yes") == 5
    assert sorted(path.parent.rglob("*")) == before


def test_a_record_that_does_not_is_told(path, tmp_path, capsys):
    def change(record):
        record["evaluation"]["per_episode"]["mse"][3] += 0.5
        record["provenance"]["torch"] = "1.0"

    assert cli.main(["reproduce", changed(path, tmp_path, change)]) == 1
    said = capsys.readouterr().out
    (line,) = (text for text in said.splitlines() if "mse of each episode" in text)
    assert [cell.strip() for cell in line.split("│")[2:4]] == ["no", "0.5"]
    assert "torch: 1.0 then" in said


def test_a_record_with_intervals_of_before_comes_out_again(path):
    first, second = records.read(path), records.read(path)
    first["metrics"]["mse"]["ci95"] *= 1.96 / 2.093  # of 20 episodes
    assert all(part.equal for part in reproducing.compare(first, second))
    second["metrics"]["mse"]["per_step"][0] += 1e-6
    assert not all(part.equal for part in reproducing.compare(first, second))


def test_the_engine_and_the_devices_are_those_of_the_record(path, tmp_path, monkeypatch, console):
    assert json.loads(path.read_text())["provenance"]["engine"] == "auto"
    by, train = [], training.train

    def spy(experiment, out, split, machine, *args):
        by.append((experiment.learner_arguments, machine.devices))
        return train(experiment, out, split, machine, *args)

    monkeypatch.setattr(training, "train", spy)
    file = changed(path, tmp_path, lambda r: r["provenance"].update(engine="loop", recompute=True))
    first, second = reproducing.run_again(file, Machine("cpu"), console)
    ((learner, devices),) = by
    assert (learner["engine"], learner["recompute"], devices) == ("loop", True, 1)
    assert second["provenance"]["engine"] == "loop"
    assert first["experiment"] == second["experiment"]
    strange = changed(path, tmp_path, lambda r: r["provenance"].update(engine="warp"))
    with pytest.raises(BenchError, match="engine='warp'"):
        reproducing.run_again(strange, Machine("cpu"), console)


def test_a_record_does_not_say_how_many_processes_start(path, tmp_path, monkeypatch, capsys):
    file = changed(path, tmp_path, lambda r: r["provenance"].update(devices=5))
    joined = []
    monkeypatch.setattr(reproducing.ranks, "join", joined.append)
    assert cli.main(["reproduce", file, "--accelerator", "cpu"]) == 2
    assert "was run on 5 devices: add --devices 5, which starts as many" in capsys.readouterr().err
    assert joined == []
    assert cli.main(["reproduce", file, "--devices", "0"]) == 2
    assert "--devices 0: give 1 or more" in capsys.readouterr().err
    monkeypatch.undo()
    assert cli.main(["reproduce", file, "--accelerator", "cpu", "--devices", "1"]) == 0
    assert "devices: 5 then, 1 now" in capsys.readouterr().out


def test_code_of_the_user_s_own_has_to_be_named(path, tmp_path, capsys):
    def change(record):
        record["experiment"] |= {"algorithm": "mine", "code": {"mine": "sha256:1"}}

    assert cli.main(["reproduce", changed(path, tmp_path, change)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "code of your own (mine): name it with --algorithms, --data or --models" in said


@pytest.mark.parametrize("devices", [True, "2", None, -1, 0, 10**9])
def test_strange_numbers_of_devices_start_nothing(devices, path, tmp_path, monkeypatch, capsys):
    file = changed(path, tmp_path, lambda r: r["provenance"].update(devices=devices))
    machines = []

    def join(machine):
        machines.append(machine.devices)
        raise BenchError("stop here")

    monkeypatch.setattr(reproducing.ranks, "join", join)
    assert cli.main(["reproduce", file, "--accelerator", "cpu"]) == 2
    assert set(machines) <= {1}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda r: r["experiment"]["learner"].update(inner_lr=9.0),
            "in this version what it names",
        ),
        (lambda r: r["experiment"]["learner"].update(nonsense=1), "experiment: "),
        (lambda r: r["experiment"].update(dataset="sinusoids"), "did you mean sinusoid"),
        (lambda r: r["experiment"].pop("validations"), "does not fit this version"),
        (lambda r: r.pop("metrics"), "metrics"),
    ],
)
def test_a_record_of_something_else_is_refused(path, tmp_path, capsys, change, words):
    file = changed(path, tmp_path, change)
    assert cli.main(["reproduce", file]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert path.name in said


def test_a_record_that_is_not_there(tmp_path, capsys):
    assert cli.main(["reproduce", str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(path, tmp_path, workers):
    given = records.read(path)
    data = {"val_episodes": 10, "test_episodes": 20, "shots": 5, "num_workers": workers}
    experiment = Experiment("tiny", "sinusoid", "maml", 6, 2, data=data)
    record = training.train(experiment, tmp_path, machine=Machine("cpu"), progress=False)
    copy = experiment.files(tmp_path).record
    records.write(copy, record)
    found = records.read(copy)
    assert found["experiment"] == given["experiment"]
    assert found["evaluation"] == given["evaluation"]


def test_the_number_of_threads_changes_last_digits_at_most(path, tmp_path):
    """Which episodes, exactly; sums may be made in another order."""
    given, before = records.read(path), torch.get_num_threads()
    experiment = reproducing.read_experiment(given, path)
    try:
        torch.set_num_threads(2 if before == 1 else 1)
        record = training.train(experiment, tmp_path, machine=Machine("cpu"), progress=False)
    finally:
        torch.set_num_threads(before)
    assert record["evaluation"]["index"] == given["evaluation"]["index"]
    found, wanted = (r["evaluation"]["per_episode"]["mse"] for r in (record, given))
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    assert record["provenance"]["threads"] != given["provenance"]["threads"]


# Data --------------------------------------------------------------------------------------------


@pytest.fixture
def answers(tmp_path):
    """A file of answers and the record of a run on it."""
    rows = [f"s{n % 12},i{n % 5},{(n * 7 // 3) % 2},{n}" for n in range(120)]
    source = tmp_path / "answers.csv"
    source.write_text("user_id,item_id,correct,order_id\n" + "\n".join(rows) + "\n")
    data = {"source": str(source), "shots": 3, "queries": 3, "val_episodes": 2, "test_episodes": 2}
    experiment = Experiment("tiny", "student", "item_mean", 2, 1, data=data)
    found = experiment.files(tmp_path).record
    records.write(
        found, training.train(experiment, tmp_path, machine=Machine("cpu"), progress=False)
    )
    return source, found


def test_a_record_knows_its_data(path, answers, capsys):
    source, found = answers
    assert records.read(path)["provenance"]["data"] is None  # drawn by a program
    assert len(records.read(found)["provenance"]["data"]) == checksums.DIGITS
    assert cli.main(["reproduce", str(found), "--accelerator", "cpu"]) == 0
    assert "checksum" not in capsys.readouterr().out
    source.write_text(source.read_text().replace("s3,i3,1", "s3,i3,0"))
    assert cli.main(["reproduce", str(found), "--accelerator", "cpu"]) == 1
    said = capsys.readouterr().out
    assert "other data than the record's: checksum" in said
    (line,) = (text for text in said.splitlines() if text.startswith("│ data "))
    assert "no" in line


def test_a_record_from_before_checksums_is_still_compared(answers, capsys):
    found = answers[1]
    record = json.loads(found.read_text())
    del record["provenance"]["data"]
    found.write_text(json.dumps(record))
    assert cli.main(["reproduce", str(found), "--accelerator", "cpu"]) == 0
    assert "checksum" not in capsys.readouterr().out
