import io
import shutil
import zipfile

import numpy as np
import pytest
import torch
from lightning import Trainer
from PIL import Image

from bench import FOMAML, OmniglotRunsDataModule
from bench.base.errors import BenchError
from bench.data import omniglot, omniglot_runs
from bench.data.images import packed
from bench.data.images.episodes import ImageClasses


def png(black):
    """105x105, 1 bit, black on white; as many rows of ink as asked for."""
    pixels = np.full((105, 105), 255, np.uint8)
    pixels[:black] = 0
    file = io.BytesIO()
    Image.fromarray(pixels).convert("1").save(file, "PNG")
    return file.getvalue()


def order(run):
    """Which class each test item of a run is of."""
    return np.random.default_rng(run).permutation(20) + 1


@pytest.fixture(scope="module")
def files():
    """The runs; the image of class c has 2c rows of ink to learn from, 2c + 40 to recognise."""
    made = {}
    for run in range(1, 21):
        folder, labels = f"run{run:02d}", ""
        for i, c in enumerate(order(run), 1):
            made[f"{folder}/training/class{i:02d}.png"] = png(2 * i)
            made[f"{folder}/test/item{i:02d}.png"] = png(2 * int(c) + 40)
            labels += f"{folder}/test/item{i:02d}.png {folder}/training/class{c:02d}.png\n"
        made[f"{folder}/class_labels.txt"] = labels.encode()
    return made


@pytest.fixture
def source(files, tmp_path):
    for name, content in files.items():
        (tmp_path / "all_runs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "all_runs" / name).write_bytes(content)
    return tmp_path / "all_runs"


@pytest.fixture(scope="module")
def root(files, tmp_path_factory):
    """Prepared runs, and an Omniglot whose images say character (rows) and drawer (columns)."""
    root = tmp_path_factory.mktemp("root")
    with zipfile.ZipFile(root / "all_runs.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    omniglot_runs.prepare(root / "all_runs.zip", root)
    names = sorted(n for own in omniglot.characters("lake").values() for n in own)
    images = np.zeros((len(names), 20, 28, 28, 1), np.uint8)
    images[:, :, 0, 0, 0] = (np.arange(len(names)) % 251)[:, None]
    images[:, :, 0, 1, 0] = (np.arange(len(names)) // 251)[:, None]
    images[:, :, 0, 2, 0] = np.arange(20)
    packed.write(root / "omniglot.packed", ImageClasses.pack(images, names))
    return root


def make(root, **kwargs):
    return OmniglotRunsDataModule(data_root=root, **kwargs)


# The runs ----------------------------------------------------------------------------------------


def test_the_test_list_is_the_runs(root):
    data = make(root, tasks_per_batch=8)
    batches = list(data.test_dataloader())
    assert torch.cat([b.index for b in batches]).tolist() == list(range(20))
    for batch in batches:
        assert batch.support_x.shape[1:] == batch.query_x.shape[1:] == (20, 1, 28, 28)
        assert batch.support_y.tolist() == [list(range(20))] * len(batch.index)
        # the label of each image to recognise is the class whose ink it has, and 40 rows more
        for x, y, more in (
            (batch.support_x, batch.support_y, 0),
            (batch.query_x, batch.query_y, 40),
        ):
            ink = x[..., 14].sum(-1).squeeze(-1) * 105 / 28
            torch.testing.assert_close(ink, 2.0 * (y + 1) + more, atol=1.5, rtol=0)


def test_a_folder_and_a_zip_give_the_same(source, root, tmp_path):
    said = omniglot_runs.prepare(source, tmp_path / "root")
    assert "Found 20 runs of 20 characters" in said
    assert "Training needs the rest of Omniglot: run `maml-bench prepare omniglot" in said
    again = omniglot_runs.prepare(root / "all_runs.zip", root)
    assert "It does not have the official MD5." in again
    assert "Training needs" not in again
    expected = (root / "omniglot_runs.packed").read_bytes()
    assert (tmp_path / "root" / "omniglot_runs.packed").read_bytes() == expected


def test_the_error_rate_is_reported(root):
    trainer = Trainer(
        max_steps=1,
        limit_val_batches=1,
        logger=False,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    data, model = make(root), FOMAML(model_options={"filters": 4}, inner_steps=1)
    trainer.fit(model, data)
    scores = trainer.test(model, data, verbose=False)[0]
    assert scores["test/error_rate"] == pytest.approx(1 - scores["test/accuracy"])
    assert model.episode_scores["error_rate"].shape == (20, 2)
    predictor = model.adapt(torch.rand(20, 1, 28, 28), torch.arange(20))
    assert predictor(torch.rand(3, 1, 28, 28)).shape == (3, 20)


# What is learned from ----------------------------------------------------------------------------


def test_training_sees_background_alphabets_alone():
    lake = omniglot.characters("lake")
    background = {name.split("/")[0] for split in ("train", "val") for name in lake[split]}
    tested = {name.split("/")[0] for name in lake["test"]}
    size = {a: sum(n.startswith(f"{a}/") for own in lake.values() for n in own) for a in background}
    chosen = omniglot_runs.alphabets()
    assert [len(own) for own in chosen.values()] == [21, 5]
    assert not set(chosen["train"]) & set(chosen["val"])
    assert {*chosen["train"], *chosen["val"]} == {a for a in background if size[a] >= 20}
    assert not tested & background


@pytest.mark.parametrize("split", ["train", "val"])
def test_episodes_are_within_an_alphabet_and_by_one_drawer_a_row(split, root):
    data = make(root, queries=3)
    names = sorted(n for own in omniglot.characters("lake").values() for n in own)
    episode = data.episodes(split, np.arange(300))
    seen, drawers = set(), set()
    x = torch.cat([episode.support_x, episode.query_x], 1).mul(255).round().int()[:, :, 0, 0]
    y = torch.cat([episode.support_y, episode.query_y], 1)
    number = x[..., 0] + 251 * x[..., 1]
    for task in range(300):
        characters = [names[i] for i in number[task, :20]]
        assert len(set(characters)) == 20
        assert len({name.split("/")[0] for name in characters}) == 1
        seen.add(characters[0].split("/")[0])
        assert torch.equal(number[task, :20][y[task]], number[task])  # labels stand for characters
        drawer = x[task, :, 2].tolist()
        assert len(set(drawer[:20])) == 1
        of_query = np.array(drawer[20:]).reshape(20, 3)
        assert (of_query == of_query[0]).all()
        assert len({drawer[0], *of_query[0]}) == 4
        drawers |= set(drawer)
    assert seen == set(omniglot_runs.alphabets()[split])
    assert drawers == set(range(20))


def test_an_episode_depends_on_its_number_alone(root):
    together = make(root).episodes("train", np.array([7, 0, 123456789]))
    for row, number in enumerate([7, 0, 123456789]):
        alone = make(root).episodes("train", np.array([number]))
        assert torch.equal(together.query_x[row], alone.query_x[0])
    other = make(root, seed=1).episodes("train", np.array([7]))
    assert not torch.equal(together.query_x[:1], other.query_x)


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [{"ways": 5}, {"train_ways": 30}, {"shots": 2}, {"rotations": "train"}, {"test_episodes": 21}],
)
def test_other_settings_are_refused(wrong):
    with pytest.raises(BenchError, match=next(iter(wrong))):
        OmniglotRunsDataModule(**wrong)


def test_without_omniglot_it_says_what_to_do(root, tmp_path):
    shutil.copy(root / "omniglot_runs.packed", tmp_path)
    make(tmp_path).setup("test")
    with pytest.raises(BenchError, match="run `maml-bench prepare omniglot --source"):
        make(tmp_path).setup("fit")
    with pytest.raises(BenchError, match="run `maml-bench prepare omniglot_runs --source"):
        make(tmp_path / "empty").setup("test")


def labels(change):
    def spoil(source):
        file = source / "run07" / "class_labels.txt"
        file.write_text(change(file.read_text()))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda s: (s / "run03" / "test" / "item05.png").unlink(), r"no run03/test/item05\.png"),
        (lambda s: (s / "run20" / "class_labels.txt").unlink(), r"no run20/class_labels\.txt"),
        (lambda s: shutil.rmtree(s / "run11"), r"no run11/class_labels\.txt"),
        (lambda s: [shutil.rmtree(f) for f in s.iterdir()], "no runs in it; PATH may be"),
        (
            lambda s: (s / "run01" / "training" / "class02.png").write_bytes(png(3)[:-40]),
            r"run01/training/class02\.png: not a whole image",
        ),
        (
            labels(lambda text: text.replace("item02", "item01")),
            r"run07/class_labels\.txt does not",
        ),
        (
            labels(lambda text: text[: len(text) // 2]),
            r"run07/class_labels\.txt does not give each",
        ),
        (labels(lambda text: "\x00\xff"), r"run07/class_labels\.txt does not"),
    ],
)
def test_what_is_missing_is_named(spoil, match, source, tmp_path):
    spoil(source)
    with pytest.raises(BenchError, match=match):
        omniglot_runs.prepare(source, tmp_path / "root")
    assert not list(tmp_path.glob("root/*"))


def test_nothing_is_downloaded(tmp_path):
    with pytest.raises(BenchError, match=r"all_runs\.zip of brendenlake/omniglot and run"):
        omniglot_runs.prepare(None, tmp_path)


# The real thing ----------------------------------------------------------------------------------


def test_real_runs(tmp_path, shared_data):
    said = omniglot_runs.prepare(shared_data("omniglot", "one_shot_all_runs.zip"), tmp_path)
    assert "It has the official MD5." in said
    episode = make(tmp_path).episodes("test", np.arange(20))
    with zipfile.ZipFile(shared_data("omniglot", "one_shot_all_runs.zip")) as archive:
        for run in range(20):
            lines = archive.read(f"run{run + 1:02d}/class_labels.txt").decode().split()
            for test, train in zip(lines[::2], lines[1::2]):
                number = int(train[-6:-4]) - 1
                for name, x in ((test, episode.query_x), (train, episode.support_x)):
                    image = omniglot.shrink(archive.read(name), name)[0]
                    assert np.array_equal((x[run, number, 0] * 255).round(), image[..., 0])
