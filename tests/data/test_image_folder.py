import io
import json
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from bench import ImageFolderDataModule
from bench.base.errors import BenchError
from bench.cli import main as cli
from bench.data import image_folder
from bench.data.images import collection
from bench.data.images.layouts import class_splits


@pytest.fixture
def folder(tmp_path):
    """Ten classes of five grey images, each class of its own brightness."""
    for label in range(10):
        for i in range(5):
            pixels = np.full((20, 30), 10 * label + i, np.uint8)
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG")
            path = tmp_path / "pets" / f"kind {label}" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.getvalue())
    return tmp_path / "pets"


def classes(root):
    data = ImageFolderDataModule(ways=2, queries=2, data_root=root)
    return {split: data.classes(split).names for split in ("train", "val", "test")}


def test_splits_are_drawn_once_and_written_down(folder, tmp_path, capsys):
    command = ["prepare", "image_folder", "--source", str(folder)]
    assert cli.main([*command, "--data-root", str(tmp_path / "a")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Splits: drawn at random" in said
    assert "train 6 classes and 30 images, val 2 classes and 10 images, test 2 classes" in said
    written = json.loads((tmp_path / "a" / "image_folder.splits.json").read_text())
    labels = [label for several in written.values() for label in several]
    assert written == classes(tmp_path / "a") == class_splits.drawn(labels, "")
    # given back as a file, it makes the same cache
    (folder / "splits.json").write_text(json.dumps(written))
    assert "those of splits.json" in image_folder.prepare(folder, tmp_path / "b")
    a, b = ((tmp_path / n / "image_folder.packed").read_bytes() for n in "ab")
    assert a == b


def test_episodes_hold_the_images(folder, tmp_path):
    image_folder.prepare(folder, tmp_path / "root")
    data = ImageFolderDataModule(ways=2, shots=1, queries=4, data_root=tmp_path / "root")
    episode = data.episodes("train", np.arange(3))
    assert episode.query_x.shape == (3, 8, 3, 84, 84)
    kinds = (episode.query_x[:, :, 0, 0, 0] * 255).round() // 10
    for task in range(3):
        for way in range(2):
            assert len(set(kinds[task][episode.query_y[task] == way].tolist())) == 1


def test_a_split_file_leaves_out_what_it_does_not_list(folder, tmp_path):
    given = {
        "train": ["kind 9", "kind 0"],
        "val": ["kind 1", "kind 3"],
        "test": ["kind 2", "kind 4"],
    }
    (folder / "splits.json").write_text(json.dumps(given))
    image_folder.prepare(folder, tmp_path / "root")
    assert classes(tmp_path / "root") == given | {"train": ["kind 0", "kind 9"]}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", r"splits\.json: not {"),
        ('{"train": ["kind 0"]}', r"splits\.json: not {.*'val'"),
        ('{"train": ["kind 0"], "val": ["kind 1"], "test": ["dog"]}', "'dog' has no images"),
        (
            '{"train": ["kind 0"], "val": ["kind 0"], "test": ["kind 1"]}',
            "'kind 0' is listed twice",
        ),
        ('{"train": ["kind 0"], "val": [], "test": ["kind 1"]}', "no images for val"),
    ],
)
def test_a_strange_split_file_is_refused(folder, tmp_path, content, match):
    (folder / "splits.json").write_text(content)
    with pytest.raises(BenchError, match=match):
        image_folder.prepare(folder, tmp_path / "root")
    assert not list(tmp_path.glob("root/*"))


def test_too_few_classes():
    with pytest.raises(BenchError, match="5 classes are too few for three splits"):
        class_splits.drawn(list("abcde"), "here")
    assert [len(v) for v in class_splits.drawn(list("abcdef"), "").values()] == [2, 2, 2]


def test_names_that_are_no_text_in_utf_8(folder, tmp_path, capsys):
    source = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        folder.rename(source)
    except OSError:
        pytest.skip("this file system has no such names")
    (source / "kind 3").rename(source / os.fsdecode(b"caf\xe9 3"))
    command = ["prepare", "image_folder", "--source", str(source), "--data-root"]
    assert cli.main([*command, str(tmp_path / "a")]) == 0
    assert "caf\\udce9" in capsys.readouterr().out
    splits = tmp_path / "a" / "image_folder.splits.json"
    assert json.loads(splits.read_text("utf-8")) == classes(tmp_path / "a")
    assert any("caf\udce9 3" in names for names in classes(tmp_path / "a").values())
    splits.rename(source / "splits.json")
    assert cli.main([*command, str(tmp_path / "b")]) == 0
    a, b = ((tmp_path / n / "image_folder.packed").read_bytes() for n in "ab")
    assert a == b


def test_files_of_one_name_are_in_the_order_of_their_folders(tmp_path):
    names = [f"{p}/kind {n}/{i}.png" for p in ("b 9", "b 10") for n in range(6) for i in range(2)]
    for name, order in (("a", 1), ("b", -1)):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            for number, path in list(enumerate(names))[::order]:
                file = io.BytesIO()
                Image.new("L", (8, 8), 10 * number).save(file, "PNG")
                archive.writestr(path, file.getvalue())
        image_folder.prepare(tmp_path / f"{name}.zip", tmp_path / name)
    a, b = ((tmp_path / n / "image_folder.packed").read_bytes() for n in "ab")
    assert a == b
    names = ["b 9/0.png", "b 10/0.png", "b 9/1.png"]
    images = [collection.Found("train", "kind 0", name) for name in names[::-1]]
    assert [images[number].name for number in collection.order(images)] == names


def grey(path, value, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)


def test_the_endings_that_torchvision_takes(tmp_path):
    from torchvision.datasets.folder import IMG_EXTENSIONS

    for label in range(6):
        for number, ending in enumerate(IMG_EXTENSIONS):
            grey(tmp_path / "in" / f"kind {label}" / f"a{ending}", 20 * label + number)
    (tmp_path / "in" / "kind 0" / "notes.txt").touch()
    said = image_folder.prepare(tmp_path / "in", tmp_path / "root")
    assert "train 2 classes and 18 images" in said


def test_an_ordinary_set_has_to_be_given_by_one_folder(tmp_path):
    for split in ("train", "val", "test"):
        for label in range(6):
            grey(tmp_path / "in" / split / f"kind {label}" / f"{split}.png", 30 * label)
    with pytest.raises(BenchError, match="is in .* and .*give one folder as --source"):
        image_folder.prepare(tmp_path / "in", tmp_path / "root")
    said = image_folder.prepare(tmp_path / "in" / "train", tmp_path / "root")
    assert "train 2 classes and 2 images" in said
