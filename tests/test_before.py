"""What was written before the files moved (commit dec9fd0) is still read, and means the same.

``before/`` holds two records, their weights, and what ``maml-bench fit`` left.
"""

from pathlib import Path

import numpy as np
import pytest
import yaml
from lightning import Trainer

from bench import MAML, SinusoidDataModule
from bench.base import registry
from bench.checks.reproducing import read_experiment
from bench.cli import main as cli
from bench.learning import learner_file
from bench.results import records, tables
from bench.running.experiment import Experiment

BEFORE = Path(__file__).parent / "before"
KEYS = ["irt-3shot-bilevel_irt-s0-83905731", "sinusoid-10shot-maml-s0-5cf15e85"]
GOLDEN = Experiment(
    "golden", "sinusoid", "maml", 20, 2, data={"queries": 7}, learner={"inner_lr": 0.01}
)
QUIET = {"enable_progress_bar": False, "enable_model_summary": False}
# of the machine that wrote them; on another processor sums differ in their last digits
NEARLY = {"rtol": 1e-3, "atol": 1e-4}


def record(key):
    return records.read(BEFORE / "runs" / "before" / f"{key}.json")


def test_the_name_of_an_experiment_does_not_change():
    assert GOLDEN.key == "sinusoid-10shot-maml-s0-3fa94d65"


@pytest.mark.parametrize("key", KEYS)
def test_a_record_is_read_and_stands_for_the_same_experiment(key):
    found = read_experiment(record(key), BEFORE / "runs")
    assert found.key == key
    assert found.fields == record(key)["experiment"]


def test_a_table_is_made_of_records_that_do_not_say_their_label():
    text = tables.to_markdown(records.read_all(BEFORE))
    assert "MAML, second order" in text
    assert "bilevel IRT, second order" in text


@pytest.mark.parametrize("key", KEYS)
def test_weights_are_read_and_score_what_they_scored(key, tmp_path):
    path = BEFORE / "weights" / key / "best.ckpt"
    learner = learner_file.load(path)
    experiment = read_experiment(record(key), path)
    data = registry.create("data", experiment.dataset, **experiment.data_arguments)
    Trainer(accelerator="cpu", logger=False, default_root_dir=tmp_path, **QUIET).test(
        learner, data, verbose=False
    )
    stored = record(key)["evaluation"]["per_episode"]
    ((name, values),) = stored.items()
    assert np.allclose(learner.episode_scores[name][:, -1], values, **NEARLY)


def test_what_fit_saved_is_loaded_by_lightning():
    model = MAML.load_from_checkpoint(BEFORE / "fit.ckpt", weights_only=True)
    assert model.hparams["inner_lr"] == 0.01
    assert sum(p.numel() for p in model.parameters()) == 13


def test_a_saved_configuration_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    configuration = yaml.safe_load((BEFORE / "fit.yaml").read_text())
    assert configuration["model"]["class_path"] == "bench.MAML"
    code = cli.main(["fit", "--config", str(BEFORE / "fit.yaml"), "--trainer.logger", "false"])
    assert code == 0


def test_old_imports_of_data_modules_and_algorithms_work():
    from bench.algorithms.maml import MAML as ByPath
    from bench.data.sinusoid import SinusoidDataModule as DataByPath

    assert ByPath is MAML
    assert DataByPath is SinusoidDataModule
