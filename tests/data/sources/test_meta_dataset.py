"""Episodes of several sources and of different shapes, alone and under a Trainer."""

import multiprocessing

import numpy as np
import pytest
import torch
from lightning import Trainer

from bench.algorithms.fomaml import FOMAML
from bench.algorithms.maml import MAML
from bench.base.errors import BenchError
from bench.cli.main import main
from bench.data.meta_dataset import MetaDatasetDataModule
from bench.results import records as record_files
from bench.results import tables
from bench.results.schema import COST_FIELDS
from bench.running import grid
from bench.running.machine import Machine
from bench.running.suite import Study, Suite

SMALL = {
    "side": 12,
    "max_ways": 10,
    "max_support": 30,
    "queries": 3,
    "val_episodes": 4,
    "test_episodes": 5,
}


@pytest.fixture
def module(records):
    def make(**options):
        both = ["colours", "letters"]
        options = {"train_datasets": both, "tasks_per_batch": 4, "records": str(records)} | options
        return MetaDatasetDataModule(**SMALL | options)

    return make


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b) if x is not None)


def test_episodes_have_shapes_of_their_own(module):
    batch = module().episodes("train", np.arange(8))
    assert len(batch) == 8
    assert len({episode.support_x.shape for episode in batch}) > 3
    for i, episode in enumerate(batch):
        ways = int(episode.support_y.max()) + 1
        assert 5 <= ways <= 6
        assert episode.support_x.shape == (1, len(episode.support_y[0]), 3, 12, 12)
        assert torch.bincount(episode.query_y[0]).tolist() == [3] * ways
        assert torch.bincount(episode.support_y[0], minlength=ways).min() >= 1
        assert episode.support_w is None  # nothing is padded
        assert episode.index.tolist() == [i]
        assert 0 <= episode.support_x.min() <= episode.support_x.max() <= 1


def test_support_and_query_share_classes_but_no_image(module):
    for episode in module().episodes("test", np.arange(10)):
        rows = torch.cat([episode.support_x, episode.query_x], 1)[0].flatten(1)
        assert len(rows.unique(dim=0)) == len(rows)
        middle = {
            int(c): episode.support_x[0, episode.support_y[0] == c].mean((0, 2, 3))
            for c in episode.support_y[0].unique()
        }
        for x, y in zip(episode.query_x[0], episode.query_y[0]):  # classes differ in colour
            assert (x.mean((1, 2)) - middle[int(y)]).abs().max() < 0.05


@pytest.mark.parametrize("split", ["train", "test"])
def test_class_numbers_tell_the_classes_of_all_sources_apart(module, split):
    data, colours = module(test_episodes=20), {}
    assert data.class_count(split) == 6 + 11
    for episode in data.episodes(split, np.arange(40)):
        for number, label in zip(episode.class_numbers[0], episode.support_y.unique()):
            colour = episode.support_x[0, episode.support_y[0] == label].mean((0, 2, 3))
            known = colours.setdefault(int(number), colour)
            assert (known - colour).abs().max() < 0.05
    assert set(colours) == set(range(17))


def test_an_episode_follows_from_its_number_alone(module):
    whole = module().episodes("train", np.arange(9))
    (alone,) = module().episodes("train", np.array([7]))
    assert same(whole[7], alone)
    assert not same(module(seed=1).episodes("train", np.array([7]))[0], alone)
    assert same(
        module(seed=1).episodes("test", np.array([7]))[0],
        module().episodes("test", np.array([7]))[0],
    )


def test_an_episode_of_a_test_source_is_the_same_beside_any_other(module):
    one = module(test_datasets=["letters"]).episodes("test", np.arange(5))
    two = module(test_datasets=["colours", "letters"]).episodes("test", np.arange(5, 10))
    assert all(same(a[:4], b[:4]) for a, b in zip(one, two))


def test_a_worker_process_draws_the_same(module):
    data = module(num_workers=1)
    here = data.episodes("train", np.arange(4))
    for batch, wanted in zip(data.train_dataloader(), [here]):
        assert all(same(a, b) for a, b in zip(batch, wanted))
    data.train_dataloader()._iterator = None


def test_a_spawned_process_can_be_given_the_data(module):
    data = module()
    data.setup("fit")
    data.episodes("train", np.arange(2))
    multiprocessing.reduction.ForkingPickler.dumps(data)


def test_sources_are_drawn_alike_and_super_classes_kept(module):
    data, of_source = module(), {"colours": 0, "letters": 0}
    for i in range(400):
        name, composition = data.composition("train", i)
        of_source[name] += 1
        if name == "letters":
            spec = data._opened(name).spec
            assert len({spec.names[n].split("-")[0] for n in composition.classes}) == 1
    assert abs(of_source["letters"] - 200) < 40
    assert [data.composition("val", i)[0] for i in range(3)] == ["colours", "letters", "colours"]


def test_the_checksum_is_of_the_sources_that_are_used(module, records):
    both, one = module(), module(train_datasets=["colours"])
    assert both.checksum == module(train_datasets=["letters", "colours"]).checksum
    other = module(train_datasets=["letters"], test_datasets=["colours"])  # fewer splits of each
    assert len({both.checksum, one.checksum, other.checksum}) == 3


def test_ways_and_shots_that_are_given_make_ordinary_batches(module):
    data = module(ways=3, shots=2)
    batch = data.episodes("train", np.arange(4))
    assert batch.support_x.shape == (4, 6, 3, 12, 12)
    assert batch.query_y.tolist() == [[0, 0, 0, 1, 1, 1, 2, 2, 2]] * 4
    assert batch.index.tolist() == [0, 1, 2, 3]
    assert data.spec.outputs == 3
    assert not data.spec.varying_ways


def test_training_images_are_augmented_by_the_episodes_own_numbers(module):
    changed, again = (module(augmentation=["flip", "crop"]) for _ in range(2))
    a, b = (d.episodes("train", np.arange(3)) for d in (changed, again))
    assert all(same(x, y) for x, y in zip(a, b))
    plain = module().episodes("train", np.arange(3))
    assert not any(torch.equal(x.support_x, y.support_x) for x, y in zip(a, plain))
    assert same(
        changed.episodes("test", np.array([1]))[0], module().episodes("test", np.array([1]))[0]
    )


@pytest.mark.parametrize("cls", [MAML, FOMAML])
def test_under_a_trainer(module, tmp_path, cls):
    """Colours are learned: adapted far above chance on classes never seen."""
    data = module(iterations_per_epoch=15, test_episodes=8)
    learner = cls(
        inner_lr=0.3, inner_steps=2, head="zero", outer_lr=0.01, model_options={"filters": 8}
    )
    trainer = Trainer(
        max_steps=30, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(learner, datamodule=data)
    (metrics,) = trainer.test(learner, datamodule=data, verbose=False)
    assert learner.episode_scores["index"].tolist() == list(range(16))
    assert [s.view.source for s in learner.view_scores] == ["colours", "letters"]
    assert metrics["test/accuracy"] > 0.4  # chance is 0.18
    found = trainer.predict(learner, datamodule=data)
    assert [len(batch) for batch in found] == [16]  # four meta-batches together
    assert found[0][0].shape[-1] == data.spec.outputs


SUITE = Suite(
    name="tiny-sources",
    description="for tests",
    studies=(
        Study(
            dataset="meta_dataset",
            ways=(None,),
            shots=(None,),
            iterations=4,
            validations=2,
            data=SMALL | {"train_datasets": ["colours"], "tasks_per_batch": 2},
            learner={"model_options": {"filters": 4}, "inner_steps": 1, "head": "zero"},
            algorithms={"maml": {}, "fomaml": {}},
        ),
    ),
)


def test_one_row_for_each_test_source(records, tmp_path, console, monkeypatch):
    monkeypatch.setattr("bench.running.suites.quick.SUITE", SUITE)
    cost = dict.fromkeys(COST_FIELDS, 1.0)
    monkeypatch.setattr("bench.running.probe.measure", lambda spec, **options: cost)
    flags = ["--test-datasets", "colours,letters", "--train-datasets", "letters"]
    root = ["--data-root", str(records.parent), "--out", str(tmp_path)]
    assert main(["run", "quick", *flags, *root, "--accelerator", "cpu"]) == 0
    found = record_files.read_all(tmp_path, "tiny-sources")
    assert {r["experiment"]["key"].rsplit("-", 1)[0] for r in found} == {
        "meta_dataset-varying-maml-s0",
        "meta_dataset-varying-fomaml-s0",
    }
    summary = tables.summary(found)
    assert summary["dataset"].unique().tolist() == ["letters → colours", "letters → letters"]
    assert summary["setting"].unique().tolist() == ["varying"]
    assert summary["episodes"].tolist() == [5] * 4
    assert (summary["verdict"] != "").sum() == 2  # paired within each source
    for form in (tables.to_markdown, tables.to_latex, tables.to_csv):
        assert "letters" in form(found)


def test_a_record_of_sources_is_checked(records, tmp_path):
    machine = Machine(accelerator="cpu", data_root=records.parent)
    (experiment, _) = SUITE.experiments(settings={"iterations": 1})
    from bench.running.training import train

    record = train(experiment, tmp_path, "test", machine, progress=False)
    path = experiment.files(tmp_path).record
    for change, words in (
        ({"source": "../x"}, r"evaluation.views\[0\].source must be letters"),
        ({"source": 3}, r"evaluation.views\[0\].source must be text"),
        ({"shots": "1"}, r"evaluation.views\[0\].shots must be a whole number or null"),
    ):
        view = record["evaluation"]["views"][0] | change
        broken = record | {"evaluation": record["evaluation"] | {"views": [view]}}
        with pytest.raises(BenchError, match=words):
            record_files.write(path, broken)
    record_files.write(path, record)
    assert grid.plan([experiment], tmp_path, grid.Console(quiet=True)) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"train_datasets": []}, r"train_datasets=\[\]: give the names"),
        ({"train_datasets": ["../x"]}, "train_datasets=.*give the names"),
        ({"test_datasets": ["colours", "colours"]}, "names a source twice"),
        ({"ways": 1}, "ways=1: give a whole number of at least 2"),
        ({"shots": 0}, "shots=0: give"),
        ({"max_ways": 4}, "max_ways=4: give a whole number of at least 5"),
        ({"max_support": 6}, "max_support=6: give a whole number of at least 10"),
        ({"train_datasets": ["nowhere"]}, r"dataset_spec\.json: No such file.*maml-bench prepare"),
        ({"ways": 7, "shots": 1}, "ways=7: the train split of colours has 6 classes"),
        ({"shots": 16}, "shots=16: class .* has 16 images, and 17 are needed"),
    ],
)
def test_mistakes_are_said_before_training(module, options, words):
    with pytest.raises(BenchError, match=words):
        module(**options).setup("fit")


def test_flags_of_sources_need_a_suite_that_has_them(capsys, tmp_path):
    assert main(["run", "quick", "--train-datasets", "a", "--out", str(tmp_path)]) == 2
    assert "--train-datasets: nothing in suite quick has sources" in capsys.readouterr().err
