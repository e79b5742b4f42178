import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench import MiniImageNetDataModule
from bench.base.errors import BenchError
from bench.data import mini_imagenet
from bench.data.images import collection, packed, preparing

CLASSES = {"train": ["n01", "n02", "n03"], "val": ["n04", "n05"], "test": ["n06", "n07"]}
COUNT = 4


def photo(seed, size=(84, 84), mode="RGB"):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "PNG")  # no loss, so that it can be compared
    return file.getvalue()


@pytest.fixture(scope="session")
def photos():
    """``{(split, class, file name): PNG}``."""
    return {
        (split, label, f"{label}{i:08d}.png"): photo([int(label[1:]), i])
        for split, labels in CLASSES.items()
        for label in labels
        for i in range(COUNT)
    }


@pytest.fixture
def class_folders(tmp_path, photos):
    return write(tmp_path / "folders", {"/".join(key): png for key, png in photos.items()})


@pytest.fixture
def ravi(tmp_path, photos):
    images = {f"images/{file}": png for (_, _, file), png in photos.items()}
    return write(tmp_path / "ravi", images | tables(photos))


@pytest.fixture
def root(tmp_path, class_folders):
    mini_imagenet.prepare(class_folders, tmp_path / "root")
    return tmp_path / "root"


def tables(photos):
    rows = {split: "filename,label\n" for split in CLASSES}
    for split, label, file in reversed(photos):  # their order does not matter
        rows[split] += f"{file},{label}\n"
    return {f"{split}.csv": text.encode() for split, text in rows.items()}


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


# What is prepared --------------------------------------------------------------------------------


def test_pixels_are_kept(root, photos):
    data = MiniImageNetDataModule(ways=2, queries=1, data_root=root)
    for split, labels in CLASSES.items():
        classes = data.classes(split)
        assert classes.names == labels
        assert classes.count.tolist() == [COUNT] * len(labels)
        for label, first in zip(labels, classes.start):
            own = [png for key, png in sorted(photos.items()) if key[:2] == (split, label)]
            for png, image in zip(own, classes.images[first : first + COUNT]):
                assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), image)


def test_every_layout_gives_the_same(root, class_folders, ravi, tmp_path, photos):
    expected = (root / "mini_imagenet.packed").read_bytes()
    beside = write(
        tmp_path / "beside", {key[2]: png for key, png in photos.items()} | tables(photos)
    )
    both = write(shutil.copytree(class_folders, tmp_path / "both"), tables(photos))
    unusable = write(shutil.copytree(class_folders, tmp_path / "bad"), {"val.csv": b"a,b\n"})
    sources = {
        ravi: "columns filename,label",
        beside: "columns filename,label",
        class_folders: "<class>",
        both: "in folders of classes",
        unusable: "<class>",
        Path(shutil.make_archive(str(tmp_path / "a"), "zip", ravi)): "columns filename,label",
        Path(shutil.make_archive(str(tmp_path / "b"), "gztar", class_folders)): "<class>",
        Path(shutil.make_archive(str(tmp_path / "c"), "zip", tmp_path, "ravi")): "columns filename",
    }
    for number, (source, layout) in enumerate(sources.items()):
        said = mini_imagenet.prepare(source, tmp_path / str(number))
        written = (tmp_path / str(number) / "mini_imagenet.packed").read_bytes()
        assert written == expected, source
        assert layout in said
        assert "train 3 classes and 12 images, val 2 classes and 8 images" in said
        assert "NOT the standard miniImageNet" in said
        assert ("Another layout did not fit" in said) == (source == unusable)


def test_standard_counts_are_recognised():
    def said(classes, images):
        found = [
            collection.Found(split, str(i % classes[split]), "")
            for split in classes
            for i in range(images[split])
        ]
        return preparing._counts(
            mini_imagenet.IMAGE_SET, collection.Collection("", found, None, [])
        )

    classes = {split: n for split, (n, _) in mini_imagenet.IMAGE_SET.standard.items()}
    images = {split: n for split, (_, n) in mini_imagenet.IMAGE_SET.standard.items()}
    assert said(classes, images).endswith("as in the standard miniImageNet")
    images["test"] -= 1
    assert "NOT the standard" in said(classes, images)


def test_other_sizes_and_greyscale(class_folders, tmp_path):
    content = photo(0, (120, 90)), photo(1, mode="L"), photo(2, mode="P")
    names = [f"train/n01/n01{i:08d}.png" for i in range(3)]
    write(class_folders, dict(zip(names, content)))
    said = mini_imagenet.prepare(class_folders, tmp_path / "root")
    assert "3 images were not 84x84 RGB" in said
    images = packed.read(tmp_path / "root" / "mini_imagenet.packed", "").images
    expected = Image.open(io.BytesIO(content[0])).resize((84, 84), Image.LANCZOS)
    grey = np.asarray(Image.open(io.BytesIO(content[1])))
    # classes are sorted by split name, so that training is in the middle
    first = len(CLASSES["test"]) * COUNT
    assert np.array_equal(images[first], np.asarray(expected))
    assert np.array_equal(images[first + 1], np.stack([grey] * 3, -1))


def test_episode_depends_on_its_number_alone(root):
    def data():
        return MiniImageNetDataModule(ways=3, queries=2, data_root=root)

    index = np.array([7, 0, 123456789])
    together = data().episodes("train", index)
    assert together.support_x.shape == (3, 3, 3, 84, 84)
    for row, number in enumerate(index):
        alone = data().episodes("train", np.array([number]))
        for several, one in zip(together, alone):
            assert several is one is None or torch.equal(several[row], one[0])


# What is refused ---------------------------------------------------------------------------------


def refused(source, root, match):
    with pytest.raises(BenchError, match=match) as error:
        mini_imagenet.prepare(source, root)
    assert "\n" not in str(error.value)
    assert not root.is_dir() or not list(root.iterdir())


def test_no_source(tmp_path):
    refused(None, tmp_path / "root", "cannot be downloaded: run `maml-bench prepare mini_imagenet")


def test_missing_source(tmp_path):
    refused(tmp_path / "nowhere", tmp_path / "root", "nowhere: there is no such file or folder")


def test_unknown_layout(tmp_path):
    write(tmp_path / "photos", {"holiday/1.jpg": b"", "readme.txt": b""})
    match = r"photos: no layout that is understood; it holds readme.txt, holiday.*PATH may be"
    refused(tmp_path / "photos", tmp_path / "root", match)


def test_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", tmp_path / "root", "it holds nothing")


def test_corrupt_zip(tmp_path, class_folders):
    source = Path(shutil.make_archive(str(tmp_path / "a"), "zip", class_folders))
    content = bytearray(source.read_bytes())
    content[len(content) // 3] ^= 1
    source.write_bytes(content)
    refused(source, tmp_path / "root", r"a\.zip: damaged")


@pytest.mark.parametrize("damage", [lambda png: png[:-40], lambda png: b""])
def test_broken_image(tmp_path, class_folders, damage):
    file = class_folders / "val" / "n04" / "n0400000002.png"
    file.write_bytes(damage(file.read_bytes()))
    refused(class_folders, tmp_path / "root", r"val/n04/n0400000002\.png: not a whole image")


def test_missing_file_of_a_row(tmp_path, ravi):
    (ravi / "images" / "n0400000002.png").unlink()
    line = (ravi / "val.csv").read_text().splitlines().index("n0400000002.png,n04") + 1
    match = rf"val\.csv, line {line}: there is no images/n0400000002\.png"
    refused(ravi, tmp_path / "root", match)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (
            "class_name,image_name\nn06,n0600000000.png\n",
            "test.csv has the columns class_name, image_name, not filename, label",
        ),
        ("", r"test.csv has the columns \(none\)"),
        ("filename,label\nn0600000000.png\n", "test.csv, line 2: filename or label is empty"),
        ("filename,label\nn0600000000.png,n06\nn0600000000.png,n06\n", "line 3: .* is also in"),
        ("filename,label\nn0600000000.png,n06\nn0100000000.png,n06\n", "also in train.csv, line"),
        ('filename,label\n"' + "x" * 200_000, r"test.csv, line \d: field larger"),
        ("filename,label\n", "no images for test"),
        ("filename,label\nn0600000000.png,n01\n", "'n01' is in test and train: a class belongs"),
    ],
)
def test_broken_table(tmp_path, ravi, text, match):
    (ravi / "test.csv").write_text(text)
    refused(ravi, tmp_path / "root", match)


def test_class_in_two_splits(tmp_path, class_folders):
    shutil.copytree(class_folders / "train" / "n02", class_folders / "test" / "n02")
    refused(class_folders, tmp_path / "root", "folders: class 'n02' is in test and train")


def test_several_sets(tmp_path, class_folders):
    shutil.copytree(class_folders / "train", class_folders / "small" / "train")
    refused(class_folders, tmp_path / "root", r"several sets, in \. and small")


def test_unwritable_root(tmp_path, class_folders):
    (tmp_path / "file").touch()
    refused(class_folders, tmp_path / "file" / "root", "root: cannot be written")


def test_not_prepared(tmp_path):
    data = MiniImageNetDataModule(data_root=tmp_path)
    with pytest.raises(BenchError, match=r"run `maml-bench prepare mini_imagenet .*PATH may be"):
        data.setup("fit")


# Real photographs --------------------------------------------------------------------------------


@pytest.mark.slow
def test_real_photographs(tmp_path, shared_data):
    source = shared_data("images", "caltech101_84x84.zip")
    said = mini_imagenet.prepare(source, tmp_path / "1")
    assert "train 64 classes and 2,983 images, val 16 classes and 744 images" in said
    assert "test 20 classes and 945 images" in said
    data = MiniImageNetDataModule(shots=5, queries=10, data_root=tmp_path / "1")
    assert data.episodes("test", np.arange(2)).query_x.shape == (2, 50, 3, 84, 84)
    # The same photographs in Ravi's layout make the same cache.
    with zipfile.ZipFile(source) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    flat = {f"images/{Path(n).name}" if n.endswith(".jpg") else n: c for n, c in files.items()}
    assert "columns filename,label" in mini_imagenet.prepare(
        write(tmp_path / "ravi", flat), tmp_path / "2"
    )
    first, second = ((tmp_path / n / "mini_imagenet.packed").read_bytes() for n in "12")
    assert first == second


def test_real_photographs_without_splits_are_refused(tmp_path, shared_data):
    source = shared_data("images", "caltech101_raw_20x20.zip")
    refused(source, tmp_path / "root", "no layout that is understood; it holds airplanes")


@pytest.mark.slow
def test_real_photographs_of_many_sizes(tmp_path, shared_data):
    source = shared_data("images", "caltech101_raw_20x20.zip")
    with zipfile.ZipFile(source) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")]
        labels = sorted({name.split("/")[0] for name in names})
        split = {
            la: "train" if i < 10 else "val" if i < 15 else "test" for i, la in enumerate(labels)
        }
        files = {f"{split[name.split('/')[0]]}/{name}": archive.read(name) for name in names}
    said = mini_imagenet.prepare(write(tmp_path / "sorted", files), tmp_path / "root")
    assert "400 images were not 84x84 RGB" in said
    data = MiniImageNetDataModule(data_root=tmp_path / "root")
    assert 0.2 < data.episodes("train", np.arange(2)).query_x.mean() < 0.8
