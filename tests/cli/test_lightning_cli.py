import json
import os
import pickle
import sys

import pytest
import torch
import yaml

from bench.algorithms.maml import MAML
from bench.cli import main as cli

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
    assert cli.main(["fit", "--model", "MAML", *DATA, "--model.inner_lrr", "1"]) == 2
    assert "Option 'inner_lrr' is not accepted" in capsys.readouterr().err
    assert cli.main(["test", "--model", "MAML", *DATA, *TRAINER, "--data.shots", "0"]) == 2
    assert "shots=0" in capsys.readouterr().err


# What a configuration may name ------------------------------------------------------------------

ONE_STEP = [*DATA, *TRAINER, "--trainer.max_steps", "1", "--trainer.logger", "false"]
ONE_STEP += ["--trainer.enable_checkpointing", "false", "--trainer.fast_dev_run", "true"]


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A module that can be imported and marks that it was; the fixture is the mark."""
    (tmp_path / "planted.py").write_text(
        "from pathlib import Path\n"
        "from lightning.pytorch import Callback\n"
        "from torch import nn\n"
        f"Path({str(tmp_path / 'mark')!r}).touch()\n"
        "class Watcher(Callback): ...\n"
        "class Net(nn.Linear): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "mark"
    sys.modules.pop("planted", None)


def in_model(value):
    return {"model": {"class_path": "MAML", "init_args": {"model": value}}}


def in_callbacks(value):
    return {"trainer": {"callbacks": value}}


NET, WATCHER = {"class_path": "planted.Net"}, {"class_path": "planted.Watcher"}
ON_START = {"class_path": "LambdaCallback", "init_args": {"on_train_start": "planted.Watcher"}}


@pytest.mark.parametrize(
    "config",
    [
        in_callbacks([WATCHER]),
        in_callbacks(WATCHER),
        in_callbacks("planted.Watcher"),
        in_callbacks([{"class_path": "os.system", "init_args": {"command": "touch mark"}}]),
        in_callbacks([{"class_path": "subprocess.Popen", "init_args": {"args": "touch mark"}}]),
        in_callbacks([ON_START]),
        in_callbacks([{"class_path": "bench.base.paths.os.system"}]),
        in_callbacks([{"class_path": "torch.nn.init.torch.load"}]),
        in_model(NET),
        in_model({"class_path": "torch.nn.Sequential", "init_args": {"args": [NET]}}),
        {"model": "nested.yaml"},
        {"model": NET},
        {"data": WATCHER},
        {"trainer": {"logger": WATCHER}},
        {"trainer": {"strategy": WATCHER}},
        {"trainer": {"plugins": [WATCHER]}},
        {"trainer": {"profiler": WATCHER}},
        {"optimizer": WATCHER},
        {"lr_scheduler": WATCHER},
    ],
    ids=lambda config: json.dumps(config)[:70],
)
def test_a_configuration_cannot_name_arbitrary_classes(config, planted, tmp_path, capsys):
    (tmp_path / "nested.yaml").write_text(yaml.safe_dump(in_model(NET)["model"]))
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    assert cli.main(["fit", "--model", "MAML", *ONE_STEP, "--config", "run.yaml"]) == 2
    assert capsys.readouterr().err.startswith("maml-bench: ")
    assert not planted.exists()


@pytest.mark.parametrize(
    "flags",
    [
        ["--trainer.callbacks=planted.Watcher"],
        ["--trainer.callbacks+=planted.Watcher"],
        ["--trainer.callbacks.class_path=planted.Watcher"],
        ["--model", "planted.Net"],
        ["--data", "planted.Watcher"],
        ["--model.help", "planted.Net"],
        ["--trainer.callbacks.help", "planted.Watcher"],
        ["--trainer.callbacks=planted.Watcher", "--print_config"],
    ],
    ids=" ".join,
)
def test_neither_can_the_command_line(flags, planted, capsys):
    assert cli.main(["fit", "--model", "MAML", *ONE_STEP, *flags]) == 2
    said = capsys.readouterr().err
    assert "planted" in said
    assert "allow it: --allow-classes planted" in said
    assert not planted.exists()


def test_yaml_holds_plain_data_alone(tmp_path, capsys):
    (tmp_path / "run.yaml").write_text("trainer: !!python/object/apply:os.system ['touch mark']")
    assert cli.main(["fit", "--model", "MAML", *ONE_STEP, "--config", "run.yaml"]) == 2
    assert "python/object/apply" in capsys.readouterr().err
    assert not (tmp_path / "mark").exists()


@pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning")
def test_the_user_can_allow_packages_for_one_command(planted, tmp_path):
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(in_callbacks([WATCHER])))
    flags = ["fit", "--model", "MAML", *ONE_STEP, "--config", "run.yaml"]
    assert cli.main([*flags, "--allow-classes", "planted"]) == 0
    assert planted.exists()
    assert cli.main(flags) == 2  # the next command has to say so again


def test_a_configuration_cannot_allow_itself(planted, tmp_path, capsys):
    config = in_callbacks([WATCHER]) | {"allow_classes": ["planted"], "allow-classes": ["planted"]}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    assert cli.main(["fit", "--model", "MAML", *ONE_STEP, "--config", "run.yaml"]) == 2
    assert not planted.exists()


@pytest.mark.parametrize("name", ["*", "jsonargparse", "my package"])
def test_what_cannot_be_allowed(name, capsys):
    assert cli.main(["fit", "--model", "MAML", *ONE_STEP, "--allow-classes", name]) == 2
    assert "--allow-classes" in capsys.readouterr().err


LINEAR = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 1, "out_features": 1}}


@pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning")
@pytest.mark.parametrize(
    "config",
    [
        in_model(LINEAR),
        in_callbacks([{"class_path": "EarlyStopping", "init_args": {"monitor": "val/mse"}}]),
        in_callbacks([{"class_path": "lightning.pytorch.callbacks.ModelSummary"}]),
        {"model": {"class_path": "bench.algorithms.maml.MAML"}},
        {"trainer": {"profiler": {"class_path": "SimpleProfiler"}}},
        {"trainer": {"plugins": [{"class_path": "lightning.pytorch.plugins.TorchCheckpointIO"}]}},
    ],
    ids=lambda config: json.dumps(config)[:70],
)
def test_what_is_allowed_without_asking(config, tmp_path):
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"model": {"class_path": "MAML"}} | config))
    assert cli.main(["fit", *ONE_STEP, "--config", "run.yaml"]) == 0


# Checkpoints ------------------------------------------------------------------------------------


class Payload:
    def __reduce__(self):
        return os.system, ("touch mark",)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What a checkpoint of ``maml-bench fit`` holds."""
    from lightning import Trainer

    from bench import MAML, SinusoidDataModule

    folder = tmp_path_factory.mktemp("trained")
    data = SinusoidDataModule(val_episodes=10, iterations_per_epoch=1)
    options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_steps=1, accelerator="cpu", default_root_dir=folder, **options)
    trainer.fit(MAML(), datamodule=data)
    trainer.save_checkpoint(folder / "whole.ckpt")
    return torch.load(folder / "whole.ckpt", weights_only=True)


def test_a_pickle_is_refused_and_not_run(tmp_path, capsys):
    (tmp_path / "bad.ckpt").write_bytes(pickle.dumps(Payload()))
    for command in ("fit", "validate", "test", "predict"):
        flags = ["--model", "MAML", *ONE_STEP, "--ckpt_path", "bad.ckpt"]
        assert cli.main([command, *flags]) == 2
        assert "bad.ckpt is damaged, or no checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "mark").exists()


def test_neither_flag_nor_file_makes_checkpoints_run_code(trained, tmp_path, capsys):
    torch.save(trained | {"more": Payload()}, tmp_path / "bad.ckpt")
    (tmp_path / "run.yaml").write_text("{ckpt_path: bad.ckpt, weights_only: false}")
    flags = ["--model", "MAML", *ONE_STEP]
    assert cli.main(["test", *flags, "--ckpt_path", "bad.ckpt"]) == 2
    assert "only weights and plain data" in capsys.readouterr().err
    for more in (["--config", "run.yaml"], ["--ckpt_path", "bad.ckpt", "--weights_only", "false"]):
        assert cli.main(["test", *flags, *more]) == 2
        assert "weights_only=False would run" in capsys.readouterr().err
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"_class_path": "planted.Net"}, "planted.Net was not imported"),
        ({"_class_path": "os.system"}, "os.system was not imported"),
        ({"_class_path": "bench.MAML", "inner_lr": "x"}, 'Parser key "inner_lr"'),
        ({"_class_path": "bench.MAML", "nonsense": 1}, "nonsense"),
    ],
)
def test_a_checkpoint_names_classes_as_a_configuration_does(
    change, words, trained, planted, tmp_path, capsys
):
    content = trained | {"hyper_parameters": trained["hyper_parameters"] | change}
    torch.save(content, tmp_path / "bad.ckpt")
    flags = ["--model", "MAML", *ONE_STEP, "--ckpt_path", "bad.ckpt"]
    assert cli.main(["test", *flags]) == 2
    assert words in capsys.readouterr().err
    assert not planted.exists()


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_checkpoint_of_a_script_or_a_suite_is_taken_with_its_settings(trained, tmp_path, capsys):
    hyper_parameters = trained["hyper_parameters"] | {"inner_steps": 3}
    torch.save(trained | {"hyper_parameters": hyper_parameters}, tmp_path / "whole.ckpt")
    flags = ["--model", "MAML", *DATA, *TRAINER, "--trainer.logger", "false"]
    assert cli.main(["test", *flags, "--ckpt_path", "whole.ckpt"]) == 0
    assert "test/mse_step3" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
@pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning")
def test_a_network_of_a_configuration_is_taken_from_it_again(tmp_path):
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(in_model(LINEAR)))
    flags = [*DATA, *TRAINER, "--trainer.max_steps", "1", "--config", "run.yaml"]
    assert cli.main(["fit", *flags]) == 0
    (checkpoint,) = tmp_path.rglob("*.ckpt")
    stored = torch.load(checkpoint, weights_only=True)["hyper_parameters"]
    assert not [name for name in stored if name.startswith("_")]
    assert cli.main(["test", *flags, "--ckpt_path", str(checkpoint)]) == 0


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_what_lightning_cannot_restore_is_one_message(trained, tmp_path, capsys):
    torch.save(trained | {"optimizer_states": [{}]}, tmp_path / "bad.ckpt")
    flags = ["--model", "MAML", *DATA, *TRAINER, "--trainer.max_steps", "3"]
    assert cli.main(["fit", *flags, "--trainer.logger", "false", "--ckpt_path", "bad.ckpt"]) == 2
    assert "ckpt_path: the checkpoint cannot be gone on from" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_what_fails_later_is_not_put_down_to_the_checkpoint(trained, tmp_path, monkeypatch):
    def fails(self, *arguments):
        raise ZeroDivisionError("a mistake of ours")

    torch.save(trained, tmp_path / "good.ckpt")
    monkeypatch.setattr(MAML, "training_step", fails)
    flags = ["--model", "MAML", *DATA, *TRAINER, "--trainer.max_steps", "3"]
    with pytest.raises(ZeroDivisionError, match="of ours"):
        cli.main(["fit", *flags, "--trainer.logger", "false", "--ckpt_path", "good.ckpt"])


# What is refused leaves nothing -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--trainer.accelerator", "gppu"], "Lightning refuses this"),
        (["--trainer.precision", "bf16-true"], "precision='bf16-true'"),
        (["--trainer.strategy", "dpp"], "Lightning refuses this"),
        (["--optimizer", "SGD"], "set model.outer_lr"),
        (["--data", "OmniglotDataModule", "--data.data_root", "none"], "there is no such file yet"),
        (["--data", "StudentDataModule", "--data.source", "none.csv"], "none.csv"),
        (["--data", "StudentDataModule"], "source: name a file"),
    ],
)
def test_a_run_that_is_refused_writes_nothing(flags, words, tmp_path, capsys):
    assert cli.main(["fit", "--model", "MAML", *DATA, *TRAINER, *flags]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_configuration_of_an_earlier_run_is_not_overwritten(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("mine")
    flags = ["--model", "MAML", *DATA, *TRAINER, "--trainer.logger", "false"]
    assert cli.main(["fit", *flags, "--trainer.max_steps", "1"]) == 2
    assert "config.yaml is of an earlier run" in capsys.readouterr().err
    assert (tmp_path / "config.yaml").read_text() == "mine"
