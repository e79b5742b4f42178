import pytest
import yaml

from bench import cli

DATA = ["--data", "SinusoidDataModule", "--data.val_episodes", "10", "--data.test_episodes", "10"]
TRAINER = ["--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
TRAINER += ["--trainer.log_every_n_steps", "1"]


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Lightning's command line has not followed jsonargparse
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_fit_then_test_with_a_configuration_file_and_the_checkpoint(tmp_path, capsys):
    (tmp_path / "run.yaml").write_text(
        yaml.safe_dump({"model": {"class_path": "MAML", "init_args": {"order": 1}}})
    )
    flags = ["--config", "run.yaml", *DATA, *TRAINER]
    fit = ["fit", *flags, "--trainer.max_steps", "4", "--data.iterations_per_epoch", "2"]
    assert cli.main(fit) == 0
    (checkpoint,) = tmp_path.rglob("*.ckpt")
    saved = yaml.safe_load((checkpoint.parents[1] / "config.yaml").read_text())
    assert saved["model"]["init_args"]["order"] == 1
    capsys.readouterr()
    assert cli.main(["test", *flags, "--ckpt_path", str(checkpoint)]) == 0
    assert "test/mse" in capsys.readouterr().out
    assert cli.main(["validate", *flags, "--ckpt_path", str(checkpoint)]) == 0
    assert "val/mse" in capsys.readouterr().out


def test_ways_and_channels_are_not_typed_twice():
    flags = ["--data", "GlyphsDataModule", "--data.ways", "3", "--data.queries", "2", *TRAINER]
    small = ["--model.model_options", "{filters: 4}", "--data.test_episodes", "4"]
    assert cli.main(["test", "--model", "MAML", *small, *flags]) == 0


def test_print_config_shows_every_argument(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["fit", "--model", "FOMAML", *DATA, "--print_config"])
    assert stop.value.code in (0, None)
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["model"]["init_args"]["inner_steps"] == 1
    assert config["data"]["init_args"]["shots"] == 10


def test_mistakes_exit_with_2(capsys):
    assert cli.main(["fit", "--model", "MALM", *DATA]) == 2
    assert "did you mean MAML" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        cli.main(["fit", "--model", "MAML", *DATA, "--model.inner_lrr", "1"])
    assert stop.value.code == 2
    assert cli.main(["test", "--model", "MAML", *DATA, *TRAINER, "--data.shots", "0"]) == 2
    assert "shots=0" in capsys.readouterr().err
