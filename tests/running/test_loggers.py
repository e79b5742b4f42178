"""``--logger``: what a training can be followed with, which no result depends on."""

import importlib.metadata
import pickle

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bench import run
from bench.base.errors import BenchError
from bench.cli.main import main
from bench.data.sinusoid import SinusoidDataModule
from bench.results import records
from bench.running import grid, jobs, training
from bench.running.experiment import Experiment
from bench.running.machine import Machine

RUN = Experiment(
    **{"suite": "tiny", "dataset": "sinusoid", "algorithm": "maml"},
    iterations=100,
    validations=2,
    data={"val_episodes": 4, "test_episodes": 5, "shots": 5, "tasks_per_batch": 2},
)


def trained(out, logger):
    machine = Machine("cpu", checkpoint_every=0, logger=logger)
    return training.train(RUN, out, machine=machine, progress=False, say=lambda text: None)


def result(record):
    return record["metrics"], record["evaluation"], record["training"]["validation"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    out = tmp_path_factory.mktemp("plain")
    record = trained(out, None)
    assert not (out / "logs").exists()
    return record


def scalars(out):
    events = EventAccumulator(str(RUN.files(out).logs))
    events.Reload()
    return {tag: [e.step for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_csv_holds_losses_and_validations_and_changes_nothing(plain, tmp_path):
    assert result(trained(tmp_path, "csv")) == result(plain)
    (folder,) = RUN.files(tmp_path).logs.iterdir()
    table = pd.read_csv(folder / "metrics.csv")
    assert table["train/loss"].count() == 2  # of 100 iterations, each 50th
    assert table["val/mse"].dropna().tolist() == pytest.approx(
        [value for _, value in plain["training"]["validation"]], rel=1e-4
    )
    assert "inner_lr: 0.1" in (folder / "hparams.yaml").read_text()


def test_a_run_that_goes_on_adds_to_its_log(plain, tmp_path, monkeypatch):
    draw = SinusoidDataModule.episodes

    def episodes(self, split, index):
        if split == "train" and 70 * 2 in index:
            raise KeyError("a power cut")
        return draw(self, split, index)

    for logger in ("tensorboard", "csv"):
        with monkeypatch.context() as patch:
            patch.setattr(SinusoidDataModule, "episodes", episodes)
            with pytest.raises(KeyError):
                trained(tmp_path / logger, logger)
        assert result(trained(tmp_path / logger, logger)) == result(plain)
    found = scalars(tmp_path / "tensorboard")
    assert found["train/loss"] == [49, 99]
    assert len(found["val/mse"]) == 2
    parts = sorted(RUN.files(tmp_path / "csv").logs.iterdir())
    assert [p.name for p in parts] == ["version_0", "version_1"]
    assert pd.read_csv(parts[1] / "metrics.csv")["train/loss"].count() == 1


def test_a_worker_is_told_of_it(tmp_path, console):
    job = jobs.Job(RUN, tmp_path, Machine("cpu", logger="csv"), "val", False)
    assert jobs.do(pickle.loads(pickle.dumps(job)), console).state == "done"
    assert list(RUN.files(tmp_path).logs.glob("version_0/metrics.csv"))


def test_the_command_takes_a_logger(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "cost", lambda *run: None)
    monkeypatch.setattr(grid, "report", lambda *run: None)
    command = ["run", "quick", "--datasets", "sinusoid", "--algorithms", "maml"]
    settings = ["--set", "iterations=2", "validations=1", "val_episodes=2", "test_episodes=3"]
    out = ["--out", str(tmp_path), "--logger", "tensorboard"]
    assert main([*command, *settings, *out]) == 0
    (record,) = records.read_all(tmp_path)
    folder = tmp_path / "logs" / "quick" / record["experiment"]["key"]
    assert list(folder.glob("events.out.tfevents*"))


def test_what_is_not_there_is_said_before_anything_runs(refused, monkeypatch):
    refused("run quick --logger cvs", "logger 'cvs': did you mean csv?")

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    for name in ("wandb", "mlflow"):
        words = f"logger {name}: it is not installed: pip install 'maml-bench[{name}]'"
        refused(f"run quick --logger {name}", words)
        refused(f"tune quick --logger {name}", words)
    with pytest.raises(BenchError, match="did you mean csv"):
        run("quick", logger="cvs")


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_those_of_other_packages_where_they_are_installed(name, plain, tmp_path, monkeypatch):
    pytest.importorskip(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert result(trained(tmp_path, name)) == result(plain)
    assert any(path.is_file() for path in (tmp_path / "logs").rglob("*"))
