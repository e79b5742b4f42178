import csv
import io
import json
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from bench import TieredImageNetDataModule
from bench.base import paths
from bench.base.errors import BenchError
from bench.data import tiered_imagenet

PER_CLASS = 2


def splits():
    return json.loads((paths.facts("tiered_imagenet") / "splits" / "ren.json").read_text())


def png(red, green, blue):
    file = io.BytesIO()
    Image.new("RGB", (84, 84), (red, green, blue)).save(file, "PNG")
    return file.getvalue()


def images(split):
    """``[(class, PNG)]`` in the order of the pickles, the images of a class not side by side."""
    labels = splits()[split]
    which = ("train", "val", "test").index(split)
    return [
        (label, png(n % 256, n // 256 + 2 * which, 10 * i))
        for i in range(PER_CLASS)
        for n, label in enumerate(labels)
    ]


@pytest.fixture(scope="module")
def pickles(tmp_path_factory):
    """The six pickles, with all classes, as few-shot-ssl writes them."""
    folder = tmp_path_factory.mktemp("source") / "tiered-imagenet"
    folder.mkdir()
    for split, labels in splits().items():
        files = [np.frombuffer(file, np.uint8)[:, None] for _, file in images(split)]
        (folder / f"{split}_images_png.pkl").write_bytes(pickle.dumps(files, 2))
        of_labels = {
            "label_specific": np.array([labels.index(la) for la, _ in images(split)], np.int32),
            "label_general": np.zeros(len(files), np.int32),
            "label_specific_str": labels,
            "label_general_str": ["a superclass"],
        }
        (folder / f"{split}_labels.pkl").write_bytes(pickle.dumps(of_labels, 2))
    return folder


@pytest.fixture(scope="module")
def root(pickles, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    said = tiered_imagenet.prepare(pickles, root)
    assert "Found {train,val,test}_images_png.pkl" in said
    assert "train 351 classes and 702 images, val 97 classes and 194 images, test 160" in said
    assert "NOT the standard tieredImageNet" in said
    return root


def episodes(root):
    data = TieredImageNetDataModule(ways=5, shots=1, queries=1, data_root=root)
    found = [data.episodes(split, np.arange(3)) for split in ("train", "val", "test")]
    return [t for episode in found for t in episode if t is not None]


def test_the_split_keeps_superclasses_apart(shared_data):
    above = {}
    for split, labels in splits().items():
        with (shared_data("splits", "tieredimagenet") / f"{split}.csv").open() as file:
            rows = [row for row in csv.reader(file) if row]
        assert labels == sorted(label for label, _ in rows)
        above[split] = {general for _, general in rows}
    assert [len(labels) for labels in splits().values()] == [351, 97, 160]
    assert [len(several) for several in above.values()] == [20, 6, 8]
    assert len(set().union(*above.values())) == 34


def test_every_class_holds_its_own_images(root):
    data = TieredImageNetDataModule(data_root=root)
    for split, labels in splits().items():
        classes = data.load(split)
        assert sorted(classes.names) == labels
        assert classes.count.tolist() == [PER_CLASS] * len(labels)
        colours = {label: [] for label in labels}
        for label, file in images(split):
            colours[label].append(Image.open(io.BytesIO(file)).getpixel((0, 0)))
        for name, start in zip(classes.names, classes.start):
            own = classes.images[start : start + PER_CLASS, 5, 5]
            assert [tuple(c) for c in own.tolist()] == colours[name]


@pytest.mark.parametrize("layout", ["ILSVRC/train", "images"])
def test_folders_of_classes_give_the_same(root, layout, tmp_path):
    for split in splits():
        for i, (label, file) in enumerate(images(split)):
            folder = tmp_path / "source" / layout / label
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{label}_{i}.JPEG").write_bytes(file)
    other = tmp_path / "source" / layout / "n99999999"  # a class of ImageNet's other 392
    other.mkdir()
    (other / "n99999999_1.JPEG").write_bytes(png(1, 2, 3))
    if "train" in layout:  # ImageNet's own validation images are not part of the set
        of_val = tmp_path / "source" / "ILSVRC" / "val" / splits()["test"][0]
        of_val.mkdir(parents=True)
        (of_val / "ILSVRC2012_val_00000001.JPEG").write_bytes(png(9, 9, 9))
    said = tiered_imagenet.prepare(tmp_path / "source", tmp_path / "root")
    assert "Splits: ren.json." in said
    assert "train 351 classes and 702 images" in said
    assert all(torch.equal(a, b) for a, b in zip(episodes(root), episodes(tmp_path / "root")))


def test_split_folders_with_fewer_classes(tmp_path):
    for split, labels in splits().items():
        for label in labels[:5]:
            for i, (_, file) in enumerate(images(split)[:3]):
                path = tmp_path / "source" / split / label / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file)
    said = tiered_imagenet.prepare(tmp_path / "source", tmp_path / "root")
    assert "Found {train,val,test}/<class>" in said
    assert "train 5 classes and 15 images" in said
    assert "NOT the standard tieredImageNet" in said


def test_the_standard_is_that_of_the_paper():
    standard = tiered_imagenet.IMAGE_SET.standard  # Ren et al. 2018: 608 classes, 779,165 images
    assert [sum(column) for column in zip(*standard.values())] == [608, 779_165]


# What is refused ---------------------------------------------------------------------------------


@pytest.fixture
def few(tmp_path):
    """Two classes of two images in each split; one name is in two of them, as ``crane`` is."""
    for number, split in enumerate(("train", "val", "test")):
        files = [np.frombuffer(png(number, i, 0), np.uint8) for i in range(4)]
        (tmp_path / f"{split}_images_png.pkl").write_bytes(pickle.dumps(files, 2))
        names = ["crane", f"other {split}"] if split != "val" else ["a", "b"]
        labels = {"label_specific": np.array([0, 1, 0, 1]), "label_specific_str": names}
        (tmp_path / f"{split}_labels.pkl").write_bytes(pickle.dumps(labels, 2))
    return tmp_path


def changed(few, file, change):
    path = few / file
    path.write_bytes(pickle.dumps(change(pickle.loads(path.read_bytes())), 2))


def refused(few, match):
    with pytest.raises(BenchError, match=match):
        tiered_imagenet.prepare(few, few / "root")
    assert not list(few.glob("root/*"))


def test_classes_of_one_name_stay_apart(few):
    tiered_imagenet.prepare(few, few / "root")
    data = TieredImageNetDataModule(ways=2, queries=1, data_root=few / "root")
    assert data.classes("train").names == ["crane (train)", "other train"]
    assert data.classes("test").names == ["crane (test)", "other test"]


def test_more_or_fewer_images_than_labels(few):
    changed(few, "val_images_png.pkl", lambda files: files[:3])
    refused(few, r"val_images_png\.pkl: 3 images, but 4 labels in val_labels\.pkl")
    changed(few, "val_images_png.pkl", lambda files: [*files, files[0] + 0, files[1] + 0])
    refused(few, r"val_images_png\.pkl: 5 images, but 4 labels")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda d: d | {"label_specific": np.array([0, 1, 0, 2])},
            "goes from 0 to 2, and .* has 2",
        ),
        (lambda d: d | {"label_specific": "0101"}, "'label_specific' is no list of numbers"),
        (lambda d: {"label_specific": d["label_specific"]}, "has no 'label_specific_str'"),
        (lambda d: [1], "holds a list, not a dict"),
    ],
)
def test_strange_labels(few, change, match):
    changed(few, "test_labels.pkl", change)
    refused(few, rf"test_labels\.pkl: .*{match}")


def test_a_damaged_image_is_named(few):
    changed(few, "train_images_png.pkl", lambda files: [files[0], files[1][:-30], *files[2:]])
    refused(few, r"train_images_png\.pkl/1: not a whole image")


def test_missing_files(few):
    (few / "val_labels.pkl").unlink()
    refused(few, "but no val_labels.pkl")
    (few / "val_images_png.pkl").unlink()
    refused(few, "but no val_images_png.pkl")


def test_nothing_is_downloaded(few):
    with pytest.raises(BenchError, match="may not be passed on.*PATH may be"):
        tiered_imagenet.prepare(None, few / "root")
