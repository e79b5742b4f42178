"""A person's own images, classified after adapting to a few examples."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from bench.algorithms.maml import MAML
from bench.algorithms.no_adaptation import NoAdaptation
from bench.algorithms.proto_maml import ProtoMAML
from bench.algorithms.proto_net import ProtoNet
from bench.algorithms.r2d2 import R2D2
from bench.cli.commands.predict import is_meant
from bench.cli.main import main
from bench.learning import learner_file
from bench.running.own_images import read
from bench.tasks.episode import TaskSpec

SPEC = TaskSpec("classification", (1, 28, 28), 3)
COLOURS = {"bright": 230, "dark": 20, "middle": 120, "darker": 60}


def checkpoint(path, cls, spec=SPEC, **options):
    """As a Trainer writes one, of a learner that has not been trained."""
    learner = cls(spec=spec, model_options={"filters": 4}, **options)
    learner.configure_model()
    stored = {"state_dict": learner.state_dict(), "hyper_parameters": dict(learner.hparams)}
    learner.on_save_checkpoint(stored)
    torch.save(stored, path)
    return path


def picture(path, value, size=(40, 30)):
    """Stripes of its own width for each value, so that batch norm leaves a difference."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:, :: 2 + value // 50] = value
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in list(COLOURS.items())[:3]:
        for i in range(2):
            picture(tmp_path / "support" / name / f"{i}.png", value + i)
            picture(tmp_path / "query" / name / f"image{i}.png", value - i)
            picture(tmp_path / "flat" / f"{name}{i}.png", value - i)
    return tmp_path


def predict(path, query="query", *more):
    flags = ["--checkpoint", str(path), "--support", "support", "--query", query, "--out", "p.csv"]
    return main(["predict", *flags, *more])


@pytest.mark.parametrize("name", ["file", "predicted"])
def test_a_class_is_not_called_like_a_column_of_the_table(folder, capsys, name):
    (folder / "support" / "bright").rename(folder / "support" / name)
    assert predict(checkpoint("c.ckpt", ProtoNet)) == 2
    assert f"a class called '{name}' would be mistaken for a column" in capsys.readouterr().err


@pytest.mark.parametrize("cls", [MAML, ProtoNet, R2D2, ProtoMAML, NoAdaptation])
def test_images_in_class_folders(folder, capsys, cls):
    assert predict(checkpoint("c.ckpt", cls)) == 0
    table = pd.read_csv("p.csv")
    assert table.columns.tolist() == ["file", "predicted", "bright", "dark", "middle"]
    assert table["file"].tolist() == [
        f"{n}/image{i}.png" for n in table.columns[2:] for i in (0, 1)
    ]
    shares = table[table.columns[2:]]
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-5)
    assert table["predicted"].tolist() == shares.idxmax(axis=1).tolist()
    right = (table["predicted"] == table["file"].str.split("/").str[0]).sum()
    assert f"right: {right} of 6" in capsys.readouterr().out


def test_the_probabilities_are_the_learners(folder):
    path = checkpoint("c.ckpt", ProtoNet)
    assert predict(path, "flat") == 0
    table = pd.read_csv("p.csv").set_index("file")
    learner = learner_file.load(path)
    support, query = (read(folder / n, SPEC, False) for n in ("support", "flat"))
    y = torch.tensor([sorted(set(support.folders)).index(f) for f in support.folders])
    expected = learner.adapt(support.x, y)(query.x)
    assert np.allclose(table.loc[query.names].drop(columns="predicted"), expected, atol=1e-5)


def test_flat_images_have_no_share_of_right_ones(folder, capsys):
    assert predict(checkpoint("c.ckpt", ProtoNet), "flat") == 0
    assert "right:" not in capsys.readouterr().out


@pytest.mark.parametrize("ways", [2, 4])
@pytest.mark.parametrize("cls", [ProtoNet, R2D2, ProtoMAML])
def test_other_ways_where_the_last_layer_starts_anew(folder, cls, ways):
    if ways == 4:
        picture(folder / "support" / "darker" / "0.png", 60)
    else:
        for path in (folder / "support" / "middle").iterdir():
            path.unlink()
    assert predict(checkpoint("c.ckpt", cls)) == 0
    assert len(pd.read_csv("p.csv").columns) == 2 + ways


def test_other_ways_are_refused_where_a_last_layer_was_learned(folder, refused):
    picture(folder / "support" / "darker" / "0.png", 60)
    checkpoint("c.ckpt", MAML)
    command = "predict --checkpoint c.ckpt --support support --query query"
    refused(command, "4 classes, and this MAML has learned a last layer for 3")


def test_fewer_classes_than_the_most(folder):
    path = checkpoint("c.ckpt", MAML, SPEC._replace(outputs=9, varying_ways=True))
    assert predict(path) == 0
    assert len(pd.read_csv("p.csv").columns) == 5


def test_size_colours_and_dark_for_bright(folder):
    found = read(folder / "flat", SPEC._replace(input_shape=(3, 20, 10)), invert=False)
    assert found.x.shape == (6, 3, 20, 10)
    assert found.names == sorted(found.names)
    inverted = read(folder / "flat", SPEC._replace(input_shape=(3, 20, 10)), invert=True)
    assert torch.allclose(inverted.x, 1 - found.x)


def test_ink_is_bright_where_training_had_it_so(folder, capsys):
    path = checkpoint("c.ckpt", ProtoNet)
    stored = torch.load(path, weights_only=True) | {"maml-bench run": {"dataset": "omniglot"}}
    torch.save(stored, path)
    assert predict(path) == 0
    assert "dark and bright exchanged" in capsys.readouterr().out
    assert predict(path, "query", "--invert", "no") == 0
    assert "exchanged" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: picture(f / "support" / "loose.png", 1), "loose.png lies in no class"),
        (
            lambda f: (f / "query" / "bad.png").write_bytes(b"no image"),
            "bad.png: not a whole image",
        ),
        (lambda f: [p.unlink() for p in (f / "query").rglob("*.png")], "query: no images in it"),
        (
            lambda f: [p.unlink() for p in (f / "support").rglob("*.png") if "dark" not in str(p)],
            "support: holds one class (dark)",
        ),
    ],
)
def test_what_is_wrong_with_the_images_is_said(folder, refused, spoil, words):
    checkpoint("c.ckpt", ProtoNet)
    spoil(folder)
    refused("predict --checkpoint c.ckpt --support support --query query", words)


def test_a_checkpoint_of_something_else(folder, refused):
    learner = MAML(spec=TaskSpec("regression", (1,), 1))
    learner.configure_model()
    stored = {"state_dict": learner.state_dict(), "hyper_parameters": dict(learner.hparams)}
    learner.on_save_checkpoint(stored)
    torch.save(stored, "c.ckpt")
    command = "predict --checkpoint c.ckpt --support support --query query"
    refused(command, "was not trained on images to classify")
    refused(command.replace("c.ckpt", "absent.ckpt"), "absent.ckpt is no file")


def test_learners_with_a_head_of_zeros(folder):
    picture(folder / "support" / "darker" / "0.png", 60)
    assert predict(checkpoint("c.ckpt", MAML, head="zero")) == 0


def test_lightnings_own_command_is_still_there():
    assert not is_meant(["--config", "run.yaml"])
    assert not is_meant(["--model", "MAML", "--help"])
    assert is_meant(["--help"])
    assert is_meant(["--support=a", "--query", "b"])
