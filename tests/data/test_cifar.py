import json
import pickle
import tarfile

import numpy as np
import pytest

from bench import CifarFSDataModule, FC100DataModule
from bench.base import paths
from bench.base.errors import BenchError
from bench.data import cifar_fs, fc100

PER_CLASS = 6  # 600 in CIFAR-100


def splits(name, file):
    return json.loads((paths.facts(name) / "splits" / f"{file}.json").read_text())


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    """CIFAR-100's files with few images, each of which is its class's number everywhere."""
    fine = sorted(sum_of(splits("cifar_fs", "bertinetto")))
    coarse = sorted(sum_of(splits("fc100", "oreshkin")))
    folder = tmp_path_factory.mktemp("cifar") / "cifar-100-python"
    folder.mkdir()
    meta = {b"fine_label_names": fine, b"coarse_label_names": coarse}
    (folder / "meta").write_bytes(pickle.dumps(meta, protocol=2))
    for name, count in (("train", 5), ("test", 1)):
        labels = np.repeat(np.arange(100), count)
        labels = labels[np.random.default_rng(0).permutation(len(labels))].tolist()
        content = {
            b"data": np.repeat(np.array(labels, np.uint8)[:, None], 3072, 1),
            b"fine_labels": labels,
            b"coarse_labels": [label // 5 for label in labels],
        }
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    return folder


def sum_of(lists):
    return [label for labels in lists.values() for label in labels]


def test_the_published_splits():
    found = splits("cifar_fs", "bertinetto")
    assert [len(found[s]) for s in ("train", "val", "test")] == [64, 16, 20]
    assert len(set(sum_of(found))) == 100
    found = splits("fc100", "oreshkin")
    assert [len(found[s]) for s in ("train", "val", "test")] == [12, 4, 4]
    assert len(set(sum_of(found))) == 20


def test_cifar_fs_takes_the_classes_of_its_split(cifar, tmp_path):
    said = cifar_fs.prepare(cifar.parent, tmp_path)
    assert "Found cifar-100-python/{train,test,meta}" in said
    assert "train 64 classes and 384 images, val 16 classes and 96 images" in said
    data = CifarFSDataModule(ways=5, queries=3, data_root=tmp_path)
    names = sorted(sum_of(splits("cifar_fs", "bertinetto")))
    for split, labels in splits("cifar_fs", "bertinetto").items():
        classes = data.classes(split)
        assert classes.names == labels
        for label, first in zip(classes.names, classes.start):
            assert (classes.images[first : first + PER_CLASS] == names.index(label)).all()
    assert data.episodes("test", np.arange(2)).query_x.shape == (2, 15, 3, 32, 32)


def test_fc100_takes_whole_superclasses(cifar, tmp_path):
    said = fc100.prepare(cifar.parent, tmp_path)
    assert "train 60 classes and 360 images, val 20 classes and 120 images" in said
    data = FC100DataModule(ways=5, queries=3, data_root=tmp_path)
    fine = sorted(sum_of(splits("cifar_fs", "bertinetto")))
    coarse = sorted(sum_of(splits("fc100", "oreshkin")))
    for split, labels in splits("fc100", "oreshkin").items():
        above = {coarse[fine.index(name) // 5] for name in data.classes(split).names}
        assert above == set(labels)


def test_the_archive_gives_the_same_as_the_folder(cifar, tmp_path):
    with tarfile.open(tmp_path / "cifar-100-python.tar.gz", "w:gz") as archive:
        archive.add(cifar, "cifar-100-python")
    cifar_fs.prepare(cifar, tmp_path / "a")
    cifar_fs.prepare(tmp_path / "cifar-100-python.tar.gz", tmp_path / "b")
    a, b = ((tmp_path / n / "cifar_fs.packed").read_bytes() for n in "ab")
    assert a == b


def test_pixels_are_by_channel_as_cifar_has_them(cifar, tmp_path):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in ("meta", "train", "test"):
        content = pickle.loads((cifar / name).read_bytes())
        if name != "meta":
            content[b"data"] = np.tile(np.arange(3072) // 12, (len(content[b"data"]), 1))
            content[b"data"] = content[b"data"].astype(np.uint8)
            content[b"data"][:, -1] = content[b"fine_labels"]  # no two splits share an image
        (folder / name).write_bytes(pickle.dumps(content))
    cifar_fs.prepare(folder, tmp_path / "root")
    images = CifarFSDataModule(queries=3, data_root=tmp_path / "root").classes("test").images
    expected = (np.arange(3072) // 12).reshape(3, 32, 32).transpose(1, 2, 0)
    assert (np.array(images[0]) == expected).sum() >= expected.size - 1


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("train", b"\x80\x04", "train: not a whole pickle"),
        ("meta", pickle.dumps({}), "meta: has no 'fine_label_names'"),
        ("test", pickle.dumps({"data": np.zeros((2, 5), np.uint8)}), "test: has no 'fine_labels'"),
        (
            "test",
            pickle.dumps(
                {"data": np.zeros((2, 5), np.uint8), "fine_labels": [], "coarse_labels": []}
            ),
            r"test: 'data' is not uint8 \[images, 3072\]",
        ),
        (
            "test",
            pickle.dumps(
                {"data": np.zeros((1, 3072), np.uint8), "fine_labels": [999], "coarse_labels": [0]}
            ),
            "label 999 has no name in meta",
        ),
    ],
)
def test_files_that_are_not_cifar_are_named(cifar, tmp_path, name, content, match):
    for own in ("meta", "train", "test"):
        (tmp_path / own).write_bytes((cifar / own).read_bytes())
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BenchError, match=match):
        cifar_fs.prepare(tmp_path, tmp_path / "root")


def test_no_network(tmp_path, monkeypatch):
    from torchvision.datasets import utils

    def fail(*args):
        raise OSError("no route")

    monkeypatch.setattr(utils, "download_url", fail)
    with pytest.raises(BenchError, match=r"no route\): get it by other means and run `maml-bench"):
        fc100.prepare(None, tmp_path)
