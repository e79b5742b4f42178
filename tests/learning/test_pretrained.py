"""Networks that start from weights of the user's own."""

import copy
import pickle
import warnings

import pytest
import torch
from lightning import Trainer
from torch import nn

from bench.algorithms.maml import MAML
from bench.algorithms.proto_net import ProtoNet
from bench.base import checksums
from bench.base.errors import BenchError
from bench.cli.main import main
from bench.data.glyphs import GlyphsDataModule
from bench.learning import learner_file
from bench.results import records, tables
from bench.tasks.episode import TaskSpec

IMAGES = TaskSpec("classification", (1, 28, 28), 5)
NUMBERS = TaskSpec("regression", (1,), 1)
SMALL = {"filters": 4}
QUICK = [
    *["run", "quick", "--datasets", "sinusoid", "--algorithms", "maml", "--out", "out", "--set"],
    *["iterations=2", "validations=1", "val_episodes=2", "test_episodes=3", "tasks_per_batch=2"],
]


def built(spec=IMAGES, cls=MAML, **options):
    learner = cls(spec=spec, **options)
    learner.configure_model()
    return learner


def conv4(**options):
    options = {"filters": 4, **options}
    return built(model="conv4", model_options=options)


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Saves what is given in a file, of which it gives the name."""
    monkeypatch.chdir(tmp_path)

    def save(content, name="weights.pt"):
        torch.save(content, name)
        return name

    return save


def same(a, b, names=None):
    a, b = a.state_dict(), b.state_dict()
    return all(torch.equal(a[n], b[n]) for n in names or a)


# What goes where ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"lr": 0.1}},
        lambda s: {"model": {f"module.{n}": v for n, v in s.items()}},
        lambda s: {"state_dict": {f"net.{n}": v for n, v in s.items()} | {"other": torch.ones(2)}},
        lambda s: {f"module.net.{n}": v for n, v in s.items()},
    ],
)
def test_a_state_dict_wherever_it_lies_in_the_file(saved, wrap):
    before = built(model_options=SMALL, seed=3).net
    learner = conv4(weights=saved(wrap(before.state_dict())))
    assert same(learner.net, before)
    assert learner.pretrained.left == []


@pytest.mark.parametrize(
    ("spec", "model", "options"),
    [
        (IMAGES, "conv4", SMALL),
        (IMAGES, "resnet12", {"widths": [4, 4, 4, 4]}),
        (NUMBERS, "mlp", {"hidden": [3]}),
        (NUMBERS, "film", {"hidden": [3], "context": 2}),
    ],
)
def test_every_network_of_the_suite(saved, spec, model, options):
    before = built(spec, model=model, model_options=options, seed=3).net
    file = saved(before.state_dict())
    learner = built(spec, model=model, model_options={**options, "weights": file})
    assert same(learner.net, before)


def test_a_module_of_ones_own(saved):
    net = nn.Sequential(nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, 1))
    other = copy.deepcopy(net)
    nn.init.ones_(other[0].weight)
    learner = built(NUMBERS, model=net, model_options={"weights": saved(other.state_dict())})
    assert same(learner.net, other)


def test_a_checkpoint_of_the_suite_for_another_algorithm_and_other_ways(saved, tmp_path):
    data = GlyphsDataModule(
        ways=3, queries=2, tasks_per_batch=2, iterations_per_epoch=1, val_episodes=2
    )
    before = ProtoNet(model_options=SMALL)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_steps=1, accelerator="cpu", default_root_dir=tmp_path, **quiet)
    trainer.fit(before, data)
    trainer.save_checkpoint("proto.ckpt", weights_only=True)
    learner = conv4(weights="proto.ckpt")
    fresh = conv4()
    features = [n for n in fresh.net.state_dict() if n.startswith("features.")]
    assert same(learner.net, before.net, features)
    assert same(learner.net, fresh.net, ["head.weight", "head.bias"])
    assert learner.pretrained.left == ["head.bias", "head.weight"]
    assert "left at their start: head.bias, head.weight" in str(learner.pretrained)


def test_running_statistics_of_the_file_have_no_place(saved):
    before = built(model_options=SMALL, seed=3).net
    more = {
        "features.1.running_mean": torch.ones(4),
        "features.1.num_batches_tracked": torch.ones(()),
    }
    learner = conv4(weights=saved(before.state_dict() | more))
    assert same(learner.net, before)
    assert learner.pretrained.unused == sorted(more)


def test_statistics_of_the_support_alone(saved):
    before = built(model_options=SMALL, seed=3).net
    options = {**SMALL, "weights": saved(before.state_dict())}
    assert same(built(model_options=options, batch_norm="support").net, before)


# Refusals -----------------------------------------------------------------------------------


class Laughs:
    def __reduce__(self):
        return print, ("run",)


NET = built(model_options=SMALL, seed=3).net.state_dict()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (3, "weights.pt is no state dict.*save the weights by torch.save"),
        ({"epoch": 3}, "weights.pt is no state dict"),
        ({"state_dict": []}, "weights.pt is no state dict"),
        (NET | {"epoch": Laughs()}, "weights.pt is damaged, or holds something else than weights"),
        (nn.Linear(1, 1), "holds something else than weights"),
        ({"a.b": torch.ones(2)}, r"none of its 1 entries \(such as a.b\) is called like one of"),
        (
            built(model_options={"filters": 8}).net.state_dict(),
            r"features.0.weight is 8x1x3x3 there and 4x1x3x3 in the network, as of 15 more",
        ),
        (NET | {"features.1.bias": torch.tensor([1, 2, 3, float("nan")])}, "1.bias.*not finite"),
    ],
)
def test_what_does_not_fit_is_said(saved, content, words, capsys):
    file = saved(content)
    with pytest.raises(BenchError, match=words) as error:
        conv4(weights=file)
    assert "weights.pt" in str(error.value)
    assert "run" not in capsys.readouterr().out


def test_a_file_that_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BenchError, match="absent.pt: No such file or directory.*file of weights"):
        conv4(weights="absent.pt")
    (tmp_path / "text.pt").write_text("not weights")
    with pytest.raises(BenchError, match="text.pt is damaged"):
        conv4(weights="text.pt")
    with pytest.raises(BenchError, match=r"model_options.weights=3: give the path of a file"):
        conv4(weights=3)


# Runs, records and checkpoints --------------------------------------------------------------


@pytest.fixture
def file(saved):
    return saved(built(NUMBERS, seed=3).net.state_dict())


def test_a_run_is_known_by_the_content_of_the_file(file, tmp_path, capsys):
    for name in (file, f"./{file}", str(tmp_path / file)):  # one run, wherever it lies
        assert main([*QUICK, f"model_options.weights={name}"]) == 0
    said = capsys.readouterr().out
    assert said.count(f"started from {tmp_path}") == 1
    (record,) = records.read_all(tmp_path / "out")
    content = checksums.of_file(tmp_path / file)
    assert record["experiment"]["learner"]["model_options"]["weights"] == content
    assert record["provenance"]["weights_left"] == ""
    assert str(tmp_path) not in str(record)
    assert "model_options.weights=weights.pt" in record["chosen"]
    assert "MAML (pretrained)" in tables.to_markdown([record])
    torch.save(built(NUMBERS, seed=4).net.state_dict(), file)
    assert main([*QUICK, f"maml.model_options.weights={file}"]) == 0
    assert len(records.read_all(tmp_path / "out")) == 2


def test_a_record_opens_no_file_that_is_not_named(file, tmp_path, capsys):
    assert main([*QUICK, f"model_options.weights={file}"]) == 0
    (record,) = (tmp_path / "out").glob("runs/quick/*.json")
    assert main(["reproduce", str(record)]) == 2
    assert "name it with --weights FILE" in capsys.readouterr().err
    torch.save(built(NUMBERS, seed=4).net.state_dict(), "other.pt")
    assert main(["reproduce", str(record), "--weights", "other.pt"]) == 2
    assert "other.pt is not the file that" in capsys.readouterr().err
    assert main(["reproduce", str(record), "--weights", file]) == 0


def test_reproduce_takes_no_weights_where_there_were_none(saved, tmp_path, capsys):
    assert main(QUICK) == 0
    (record,) = (tmp_path / "out").glob("runs/quick/*.json")
    assert main(["reproduce", str(record), "--weights", "weights.pt"]) == 2
    assert "drop --weights" in capsys.readouterr().err


def test_a_missing_file_is_said_before_anything_runs(refused):
    refused(" ".join([*QUICK, "model_options.weights=absent.pt"]), "No such file or directory")


def test_a_checkpoint_needs_no_file_and_names_none(file, tmp_path):
    assert main([*QUICK, f"model_options.weights={file}"]) == 0
    (tmp_path / file).unlink()
    (checkpoint,) = (tmp_path / "out").glob("checkpoints/*/best.ckpt")
    stored = torch.load(checkpoint, weights_only=True)
    assert str(tmp_path) not in str(stored["hyper_parameters"])
    learner = learner_file.load(checkpoint)
    weights = {n: v for n, v in stored["state_dict"].items() if n.startswith("net.")}
    assert all(torch.equal(learner.state_dict()[n], v) for n, v in weights.items())
    again = MAML.load_from_checkpoint(checkpoint, weights_only=True)
    assert again.pretrained.known


def test_a_checksum_alone_cannot_be_trained_from(file, tmp_path):
    learner = MAML(spec=NUMBERS, model_options={"weights": checksums.of_file(tmp_path / file)})
    with pytest.raises(BenchError, match="is the checksum of a file of weights: give the file"):
        learner.on_fit_start()


def test_a_learner_with_weights_is_handed_to_other_processes(file):
    learner = pickle.loads(pickle.dumps(MAML(spec=NUMBERS, model_options={"weights": file})))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learner.configure_model()
    assert same(learner.net, built(NUMBERS, seed=3).net)
