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
from bench.data import image_folder, mini_imagenet
from bench.data.images import collection, packed
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
    assert written == classes(tmp_path / "a") == class_splits.draw(labels, "")
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
        class_splits.draw(list("abcde"), "here")
    assert [len(v) for v in class_splits.draw(list("abcdef"), "").values()] == [2, 2, 2]


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


def test_folders_of_one_name_are_said_to_be_one_class(tmp_path):
    for alphabet in ("Greek", "Latin"):
        for number in range(6):
            grey(tmp_path / "in" / alphabet / f"character {number}" / "0.png", number)
    said = image_folder.prepare(tmp_path / "in", tmp_path / "root")
    assert "one class, such as Greek/character 0 and Latin/character 0 (6 of 6 classes)" in said


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


# Links, and what is no file ----------------------------------------------------------------------


@pytest.fixture
def packed_plain(folder, tmp_path):
    """The cache of the folder as it is."""
    image_folder.prepare(folder, tmp_path / "plain")
    return (tmp_path / "plain" / "image_folder.packed").read_bytes()


LINKS = {
    "loop": lambda folder: (folder / "loop").symlink_to("."),
    "up": lambda folder: (folder / "kind 3" / "up").symlink_to(".."),
    "soft": lambda folder: (folder / "kind 3" / "a link.png").symlink_to("4.png"),
    "hard": lambda folder: (folder / "kind 3" / "z.png").hardlink_to(folder / "kind 3" / "1.png"),
    "class": lambda folder: (folder / "kind 4" / "kind 3").symlink_to("../kind 3"),
}


@pytest.mark.parametrize("link", LINKS)
def test_links_add_no_images(link, folder, tmp_path, packed_plain):
    LINKS[link](folder)
    said = image_folder.prepare(folder, tmp_path / "root")
    assert (tmp_path / "root" / "image_folder.packed").read_bytes() == packed_plain
    assert ("links to others of their class" in said) == (link not in ("loop", "up"))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (os.mkfifo, "it is a FIFO, not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a regular file"),
        (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
    ],
)
def test_what_is_no_file_is_refused_before_anything_is_read(make, words, folder, tmp_path):
    (folder / "kind 0" / "0.png").write_bytes(b"damaged")  # which is found later
    make(folder / "kind 9" / "x.png")
    with pytest.raises(BenchError, match=rf"kind 9/x\.png: cannot be read: {words}$"):
        image_folder.prepare(folder, tmp_path / "root")
    assert not list(tmp_path.glob("root/*"))


# What images are converted from ------------------------------------------------------------------


def test_what_was_changed_is_said(folder, tmp_path):
    ramp = np.tile(np.linspace(0, 65535, 84).astype(np.uint16), (84, 1))
    Image.fromarray(ramp).save(folder / "kind 0" / "5.png")
    Image.fromarray((ramp / 65535).astype(np.float32)).save(folder / "kind 0" / "6.tif")
    Image.new("RGBA", (84, 84), (255, 0, 0, 0)).save(folder / "kind 0" / "7.png")
    exif = Image.Exif()
    exif[274] = 6  # the camera was held upright
    tall = np.kron(np.uint8([[0], [255]]), np.ones((42, 84), np.uint8))
    stored = Image.fromarray(np.rot90(tall))
    stored.save(folder / "kind 0" / "8.jpg", exif=exif, quality=100)
    (folder / "splits.json").write_text(
        json.dumps(
            {s: [f"kind {i}", f"kind {i + 1}"] for s, i in (("train", 0), ("val", 2), ("test", 4))}
        )
    )
    said = image_folder.prepare(folder, tmp_path / "root")
    assert "2 images of 16 bits or floating point, such as kind 0/5.png: the range" in said
    assert "1 image transparent in parts, such as kind 0/7.png: laid over white" in said
    assert "1 image with an EXIF orientation, such as kind 0/8.jpg: turned upright" in said
    data = ImageFolderDataModule(ways=2, queries=2, data_root=tmp_path / "root")
    classes = data.classes("train")
    first = classes.start[classes.names.index("kind 0")]
    png, tif, clear, turned = classes.images[first + 5 : first + 9].astype(int)
    grey = np.rint(ramp / 257)[..., None]
    np.testing.assert_array_equal(png, np.broadcast_to(grey, png.shape))
    np.testing.assert_array_equal(tif, png)
    assert (clear == 255).all()
    np.testing.assert_allclose(turned[..., 0], tall, atol=20)


def test_an_image_whose_range_is_not_known_is_refused(folder, tmp_path):
    Image.fromarray(np.float32([[0, 4000]])).save(folder / "kind 0" / "x.tif")
    with pytest.raises(BenchError, match=r"kind 0/x\.tif: has values from 0 to 4000"):
        image_folder.prepare(folder, tmp_path / "root")
    assert not list(tmp_path.glob("root/*"))


def test_a_published_set_takes_photographs_as_they_are_stored(tmp_path):
    exif = Image.Exif()
    exif[274] = 3
    for split in ("train", "val", "test"):
        for label in range(2):
            grey(tmp_path / "in" / split / f"{split} {label}" / "0.png", 30 * label)
    drawn = Image.fromarray(np.kron(np.uint8([[0], [255]]), np.ones((42, 84), np.uint8)))
    drawn.save(tmp_path / "in" / "train" / "train 0" / "1.jpg", exif=exif)
    for module, top in ((mini_imagenet, 0), (image_folder, 255)):
        said = module.prepare(tmp_path / "in", tmp_path / "root")
        assert ("taken as stored, as published" in said) == (top == 0)
        read = packed.read(module.IMAGE_SET.cache(tmp_path / "root"), "")
        image = read.images[read.start[read.names.index("train/train 0")] + 1]
        assert abs(int(image[20, 40, 0]) - top) < 5
