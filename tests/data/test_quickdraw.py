import io
import json
import pickle
import zipfile

import numpy as np
import pytest
import torch

from bench import QuickDrawDataModule
from bench.base.errors import BenchError
from bench.cli import main as cli
from bench.data import quickdraw
from bench.data.images.layouts import class_splits, numpy_files

LABELS = ["apple", "cat", "eye", "fish", "sea turtle", "train"]
COUNT = 6


def drawings():
    """``[classes, images, 28, 28]``: each drawing is grey, and its own grey."""
    grey = np.arange(len(LABELS) * COUNT, dtype=np.uint8).reshape(-1, COUNT, 1, 1)
    return np.broadcast_to(grey, (len(LABELS), COUNT, 28, 28)).copy()


def flat_files(folder):
    for label, own in zip(LABELS, drawings()):
        np.save(folder / f"full_numpy_bitmap_{label}.npy", own.reshape(COUNT, 784))
    return folder


def square_files(folder):
    (folder / "deeper").mkdir()
    for label, own in zip(LABELS, drawings()):
        np.save(folder / "deeper" / f"{label}.npy", own)
    return folder


def stacked(folder):
    np.savez_compressed(folder / "some.npz", images=drawings(), classes=np.array(LABELS))
    return folder / "some.npz"


def by_class(folder):
    np.savez(folder / "some.npz", **{k: v[..., None] for k, v in zip(LABELS, drawings())})
    return folder / "some.npz"


def in_a_folder(folder):
    stacked(folder)
    return folder


def in_a_zip(folder):
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for label, own in zip(LABELS, drawings()):
            file = io.BytesIO()
            np.save(file, own)
            archive.writestr(f"numpy_bitmap/{label}.npy", file.getvalue())
    return folder / "all.zip"


LAYOUTS = [flat_files, square_files, stacked, by_class, in_a_folder, in_a_zip]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_every_layout_gives_the_drawings(layout, tmp_path):
    (tmp_path / "source").mkdir()
    said = quickdraw.prepare(layout(tmp_path / "source"), tmp_path / "root")
    assert "train 2 classes and 12 images, val 2 classes and 12 images, test 2" in said
    assert "Splits: drawn at random" in said
    written = json.loads((tmp_path / "root" / "quickdraw.splits.json").read_text())
    assert written == class_splits.draw(LABELS, "")
    data = QuickDrawDataModule(ways=2, queries=5, data_root=tmp_path / "root")
    for split, labels in written.items():
        classes = data.classes(split)
        assert classes.names == labels
        for label, start in zip(labels, classes.start):
            own = classes.images[start : start + COUNT, ..., 0]
            assert np.array_equal(own, drawings()[LABELS.index(label)])
    assert data.episodes("test", np.arange(3)).query_x.shape == (3, 10, 1, 28, 28)


def test_a_split_file_beside_the_arrays(tmp_path):
    given = {"train": ["fish", "cat"], "val": ["eye", "train"], "test": ["apple"]}
    stacked(tmp_path)
    (tmp_path / "splits.json").write_text(json.dumps(given))
    said = quickdraw.prepare(tmp_path, tmp_path / "root")
    assert "Splits: those of splits.json" in said
    assert "test 1 classes and 6 images" in said
    given["test"] = ["dog"]
    (tmp_path / "splits.json").write_text(json.dumps(given))
    with pytest.raises(BenchError, match=r"splits\.json: 'dog' has no images"):
        quickdraw.prepare(tmp_path, tmp_path / "root")


@pytest.mark.parametrize("layout", [flat_files, stacked])
def test_of_large_classes_the_first_images_are_taken(layout, tmp_path, monkeypatch):
    monkeypatch.setattr(numpy_files, "MOST", 4)
    said = quickdraw.prepare(layout(tmp_path), tmp_path / "root")
    assert "Of classes with more than 4 images the first 4 were taken." in said
    data = QuickDrawDataModule(ways=2, queries=3, data_root=tmp_path / "root")
    for split in ("train", "val", "test"):
        classes = data.classes(split)
        for label, start in zip(classes.names, classes.start):
            own = drawings()[LABELS.index(label), :4]
            assert np.array_equal(classes.images[start : start + 4, ..., 0], own)


# What is refused ---------------------------------------------------------------------------------


def header(shape, kind="|u1", fortran=False):
    """The beginning of a NumPy file that claims so much."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": kind, "fortran_order": fortran, "shape": shape}
    )
    return file.getvalue()


class Attack:
    def __reduce__(self):
        return open, ("mark", "w")


def objects(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (header((10**12, 784)) + bytes(784), "ends .* bytes before its array does"),
        (header((2, 10**12)), "images of shape .*, not"),
        (header((-3, 784)) + bytes(784), r"of shape \(-3, 784\), with nothing in it"),
        (header((0, 784)), "with nothing in it"),
        (header(()), "with nothing in it"),
        (header((3, 700)) + bytes(2100), r"images of shape \[700\], not"),
        (header((3, 28, 28, 2)) + bytes(4704), "images of shape"),
        (header((3, 784), fortran=True) + bytes(2352), "column by column"),
        (header((3, 784), "<f4") + bytes(9408), "an array of float32, not of uint8"),
        (objects(np.array([Attack()])), "an array of object, not of uint8"),
        (b"", "not a NumPy file"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "not a NumPy file"),
        (b"\x93NUMPY\x01\x00\x08\x00(((((((\n", "not a NumPy file"),
        (b"\x93NUMPY\x03\x00" + bytes(60), "not a NumPy file"),
        (pickle.dumps(Attack()), "not a NumPy file"),
    ],
)
def test_lies_and_other_files_are_named(content, match, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flat_files(tmp_path)
    (tmp_path / "full_numpy_bitmap_cat.npy").write_bytes(content)
    with pytest.raises(BenchError, match=rf"full_numpy_bitmap_cat\.npy: .*{match}"):
        quickdraw.prepare(tmp_path, tmp_path / "root")
    assert not list(tmp_path.glob("root/*"))
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"classes": np.array(LABELS[:5])}, r"images\.npy: .*not \[5 classes, images"),
        ({"classes": np.arange(6)}, r"classes\.npy: an array of int64, not of names"),
        ({"classes": np.array([LABELS])}, r"classes\.npy: .*not a list of names"),
        ({"images": drawings()[..., :27, 0]}, "images of shape"),
        ({"images": drawings().astype(float)}, r"images\.npy: an array of float64"),
    ],
)
def test_strange_npz_files_are_named(arrays, match, tmp_path):
    np.savez(tmp_path / "x.npz", **{"images": drawings(), "classes": np.array(LABELS)} | arrays)
    with pytest.raises(BenchError, match=match):
        quickdraw.prepare(tmp_path / "x.npz", tmp_path / "root")
    assert not list(tmp_path.glob("root/*"))


def test_two_files_of_one_class(tmp_path):
    flat_files(tmp_path)
    np.save(tmp_path / "cat.npy", drawings()[0])
    with pytest.raises(BenchError, match="are of class cat"):
        quickdraw.prepare(tmp_path, tmp_path / "root")


def test_several_sets(tmp_path):
    stacked(tmp_path)
    np.savez(tmp_path / "other.npz", images=drawings(), classes=np.array(LABELS))
    with pytest.raises(BenchError, match="several sets, .* give one of them"):
        quickdraw.prepare(tmp_path, tmp_path / "root")


def test_a_split_copied_into_another_is_refused(tmp_path):
    again = drawings()
    again[1] = again[2] = again[3] = again[4] = again[5] = again[0]
    np.savez(tmp_path / "x.npz", images=again, classes=np.array(LABELS))
    with pytest.raises(BenchError, match=r"images of \w+ are in \w+ too, pixel by pixel"):
        quickdraw.prepare(tmp_path / "x.npz", tmp_path / "root")


# The real thing ----------------------------------------------------------------------------------


def test_real_drawings(tmp_path, shared_data, capsys):
    source = shared_data("images", "quickdraw_8x500.npz")
    arguments = ["prepare", "quickdraw", "--source", str(source), "--data-root", str(tmp_path)]
    assert cli.main(arguments) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "train 4 classes and 2,000 images, val 2 classes and 1,000 images, test 2" in said
    data = QuickDrawDataModule(ways=2, data_root=tmp_path)
    with np.load(source) as file:
        images, names = file["images"], file["classes"].tolist()
    episode = data.episodes("train", np.arange(4))
    known = {image.tobytes(): names[c] for c, own in enumerate(images) for image in own}
    for task in range(4):
        x = (episode.query_x[task, :, 0] * 255).round().to(torch.uint8).numpy()
        labels = [known[image.tobytes()] for image in x]
        assert len(set(labels[:15])) == len(set(labels[15:])) == 1
        assert set(labels) <= set(data.classes("train").names)
        assert labels[0] != labels[15]
