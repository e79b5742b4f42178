"""The same images in every layout: the same episodes, bit for bit."""

import os
import pickle
import zipfile
from pathlib import PurePosixPath

import numpy as np
import pytest
import torch

from bench import MiniImageNetDataModule
from bench.base.errors import BenchError
from bench.data import mini_imagenet
from bench.data.images import collection

SAID = {
    "ravi_csv": "columns filename,label, and images/",
    "ravi_class_folders": "as in ImageNet",
    "easyfsl_csv": "as in ImageNet",
    "cache_pickles": "mini-imagenet-cache",
    "cache_pickles_bytes": "mini-imagenet-cache",
    "class_folders": "{train,val,test}/<class>",
    "category_split_pickles": "with data and labels",
    "torchmeta_hdf5": "hdf5 with datasets/<class>",
    "closer_look_json": "{base,val,novel}.json",
    "libfewshot_cache": "LibFewShot's cache",
    "meta_dataset_records": "<class>.tfrecords",
}


def episodes(root, ways, queries):
    data = MiniImageNetDataModule(ways=ways, shots=1, queries=queries, data_root=root)
    index = np.array([0, 1, 2, 1000])
    found = [data.episodes(split, index) for split in ("train", "val", "test")]
    return [tensor for episode in found for tensor in episode if isinstance(tensor, torch.Tensor)]


@pytest.mark.parametrize("layout", SAID)
def test_every_layout_gives_the_same_episodes(layout, few_images, written, tmp_path):
    mini_imagenet.prepare(written("class_folders", few_images), tmp_path / "expected")
    said = mini_imagenet.prepare(written(layout, few_images), tmp_path / "root")
    assert SAID[layout] in said
    assert "train 5 classes and 20 images, val 2 classes and 8 images" in said
    assert "did not fit" not in said
    expected, got = (episodes(tmp_path / n, 2, 3) for n in ("expected", "root"))
    assert len(got) == len(expected) >= 12
    assert all(torch.equal(a, b) for a, b in zip(expected, got))


@pytest.mark.slow
def test_real_photographs_in_every_layout(shared_data, written, tmp_path):
    with zipfile.ZipFile(shared_data("images", "caltech101_84x84.zip")) as archive:
        names = [PurePosixPath(n) for n in archive.namelist() if n.endswith(".jpg")]
        files = {p: archive.read(str(p)) for p in names}
    # wnid-like names, so that running numbers can be written; their order is that of the classes
    labels = sorted({p.parts[-3:-1] for p in names}, key=lambda x: (x[0], collection.natural(x[1])))
    wnid = {key: f"n{i:08d}" for i, key in enumerate(labels, 1)}
    images, count = {}, {}
    for split in ("train", "val", "test"):
        for path in sorted(names, key=lambda p: collection.natural(str(p))):
            if path.parts[-3] == split:
                label = wnid[path.parts[-3:-1]]
                count[label] = count.get(label, 0) + 1
                images[split, label, f"{label}{count[label]:08d}.jpg"] = files[path]
    images = dict(
        sorted(images.items(), key=lambda x: (("train", "val", "test").index(x[0][0]), x[0]))
    )
    expected = None
    for layout in SAID:
        said = mini_imagenet.prepare(written(layout, images), tmp_path / f"root-{layout}")
        assert "train 64 classes and 2,983 images, val 16 classes and 744 images" in said
        got = episodes(tmp_path / f"root-{layout}", 5, 15)
        expected = expected or got
        assert all(torch.equal(a, b) for a, b in zip(expected, got)), layout


def refused(source, tmp_path, match):
    with pytest.raises(BenchError, match=match):
        mini_imagenet.prepare(source, tmp_path / "root")
    assert not list(tmp_path.glob("root/*"))


def test_a_running_number_beyond_the_folder(few_images, written, tmp_path):
    source = written("ravi_class_folders", few_images)
    (source / "ILSVRC" / "n00000006" / "n00000006_28.JPEG").unlink()
    refused(source, tmp_path, r"val\.csv, line \d: there is no n0000000600000004\.jpg among the 3")


def test_a_class_listed_but_absent(few_images, written, tmp_path):
    pytest.importorskip("h5py")
    source = written("torchmeta_hdf5", few_images)
    (source / "miniimagenet" / "val_labels.json").write_text('["n00000006", "n00000007", "n9"]')
    refused(source, tmp_path, r"val_labels\.json: lists 'n9', which is not in .*val_data\.hdf5")


def test_a_listed_image_that_is_not_there(few_images, written, tmp_path):
    source = written("closer_look_json", few_images)
    (source / "all" / "n00000006" / "n0000000600000002.png").unlink()
    refused(source, tmp_path, r"val\.json: there is no .*n0000000600000002\.png: put it there")
    source = written("libfewshot_cache", few_images)
    (source / "images" / "n0000000600000002.png").unlink()
    refused(source, tmp_path, r"val\.pth: there is no n0000000600000002\.png")


def test_records_that_are_damaged_or_missing(few_images, written, tmp_path):
    source = written("meta_dataset_records", few_images)
    content = bytearray((source / "6.tfrecords").read_bytes())
    content[200] ^= 1
    (source / "6.tfrecords").write_bytes(content)
    refused(source, tmp_path, r"6\.tfrecords: the record at byte 0 is damaged")
    (source / "6.tfrecords").unlink()
    refused(source, tmp_path, r"dataset_spec\.json: there is no 6\.tfrecords")


@pytest.mark.parametrize(
    ("layout", "file"),
    [
        ("cache_pickles", "mini-imagenet-cache-val.pkl"),
        ("category_split_pickles", "miniImageNet_category_split_val.pickle"),
        ("torchmeta_hdf5", "miniimagenet/val_data.hdf5"),
        ("closer_look_json", "val.json"),
        ("libfewshot_cache", "val.pth"),
        ("meta_dataset_records", "dataset_spec.json"),
    ],
)
@pytest.mark.parametrize("content", [b"", b"\x80\x04", b"[[[", b"{}", b"\x80\x04]\x94."])
def test_files_that_hold_something_else_are_named(
    layout, file, content, few_images, written, tmp_path
):
    source = written(layout, few_images)
    (source / file).write_bytes(content)
    refused(source, tmp_path, file.split("/")[-1].replace(".", r"\."))


@pytest.mark.parametrize(
    ("layout", "file"),
    [
        ("cache_pickles", "mini-imagenet-cache-val.pkl"),
        ("category_split_pickles", "miniImageNet_category_split_val.pickle"),
        ("libfewshot_cache", "val.pth"),
    ],
)
def test_a_malicious_pickle_is_refused(layout, file, few_images, written, tmp_path):
    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'mark'}",)

    source = written(layout, few_images)
    honest = pickle.loads((source / file).read_bytes())
    (source / file).write_bytes(pickle.dumps([honest, Attack()]))
    name = file.replace(".", r"\.")
    refused(source, tmp_path, rf"{name}: this pickle wants \w+\.system.*do not trust it")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("missing", ["train", "val", "test"])
def test_a_missing_file_of_a_split(missing, few_images, written, tmp_path):
    source = written("cache_pickles", few_images)
    (source / f"mini-imagenet-cache-{missing}.pkl").unlink()
    refused(source, tmp_path, f"but no mini-imagenet-cache-{missing}")
