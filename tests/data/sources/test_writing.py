"""What is written is Meta-Dataset's format, whole or not at all."""

import io
import json
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

from bench.base import tfrecords
from bench.base.errors import BenchError
from bench.cli.main import main
from bench.data.images import meta_dataset_spec as specs
from bench.data.images.collection import Collection, Found
from bench.data.sources import writing


def examples(folder, number):
    content = (folder / f"{number}.tfrecords").read_bytes()
    return [tfrecords.features(r, "file") for r in tfrecords.read(content, "file")]


def test_each_class_is_a_file_of_jpegs_with_its_number(records, made):
    folder = records / "colours"
    spec = specs.read((folder / specs.FILE).read_bytes(), "file")
    drawn = made.pictures(made.PLAIN)
    for split, numbers in spec.classes.items():
        for number in numbers:
            found = examples(folder, number)
            wanted = drawn[split, spec.names[number]]
            assert len(found) == spec.images[number] == 16
            for example, image in zip(found, wanted):  # in the order of their names
                assert example["label"] == [number]
                decoded = Image.open(io.BytesIO(example["image"][0]))
                assert (decoded.format, decoded.mode) == ("JPEG", "RGB")
                assert np.abs(np.asarray(decoded).astype(int) - image).mean() < 8


def test_super_classes_are_written(records, made):
    spec = specs.read((records / "letters" / specs.FILE).read_bytes(), "file")
    assert [len(g) for g in spec.related["test"]] == [5, 6]
    assert len({spec.names[n].split("-")[0] for n in spec.related["val"][1]}) == 1
    assert sorted(spec.names.values()) == sorted(n.replace("/", "-") for _, n in made.GROUPED)


def test_a_jpeg_stays_as_it_is_and_everything_else_becomes_one(made):
    image = made.pictures(made.PLAIN[:1])[made.PLAIN[0]][0]
    jpeg, _ = writing.encode(image, "x")
    assert writing.encode(jpeg, "x") == (jpeg, ())
    grey, _ = writing.encode(np.full((5, 4), 255, np.uint8), "x")
    assert np.asarray(Image.open(io.BytesIO(grey))).min() == 255
    for content in (b"no image", np.zeros((2, 2, 7), np.uint8), np.zeros((4, 4))):
        with pytest.raises(BenchError, match="^x: "):
            writing.encode(content, "x")


def test_what_is_broken_leaves_the_old_records(tmp_path, made):
    writing.write("made", made.collected(made.PLAIN), "here", tmp_path)
    before = {f: f.read_bytes() for f in (tmp_path / "made").iterdir()}
    images = [Found("train", "a", "a/1.png"), Found("train", "a", "a/2.png")]
    broken = Collection("x", images, lambda: iter([(0, before[max(before)]), (1, b"no")]), [])
    with pytest.raises(BenchError, match=r"here: a/1\.png: not a whole image"):
        writing.write("made", broken, "here", tmp_path)
    assert {f: f.read_bytes() for f in (tmp_path / "made").iterdir()} == before
    assert [f.name for f in tmp_path.iterdir() if f.is_dir()] == ["made"]


def test_images_that_do_not_come_are_counted(tmp_path, made):
    whole = made.collected(made.PLAIN)
    name = whole.images[3].name
    for gone in ({3}, {3, *range(100, 288)}):
        given = [pair for pair in whole.stream() if pair[0] not in gone]
        less = whole._replace(stream=lambda given=given: iter(given))
        if len(gone) > 1:
            name = r"\w+/\d+\.png"
        with pytest.raises(BenchError, match=rf"here: {name} was .* {len(gone) - 1} others"):
            writing.write("made", less, "here", tmp_path)
    assert not (tmp_path / "made").exists()


def test_a_class_in_two_splits_and_a_copied_split_are_refused(tmp_path, made):
    twice = [Found("train", "a", "a/1"), Found("test", "a", "a/2")]
    with pytest.raises(BenchError, match="class 'a' is in test and train"):
        writing.write("made", Collection("x", twice, list, []), "here", tmp_path)
    image = made.pictures(made.PLAIN[:1])[made.PLAIN[0]]
    copied = [Found(s, s, f"{s}/{i}") for s in ("train", "test") for i in range(12)]
    stream = lambda: enumerate([*image[:12], *image[:12]])  # noqa: E731
    with pytest.raises(BenchError, match="12 images of test are in train too"):
        writing.write("made", Collection("x", copied, stream, []), "here", tmp_path)
    assert not (tmp_path / "made").exists()


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import PLAIN, collected
from bench.data.sources import writing
found = collected(PLAIN)
def slowly():
    for n, image in found.stream():
        print("writing", flush=True)
        time.sleep(0.05)
        yield n, image
writing.write("made", found._replace(stream=slowly), "here", Path(sys.argv[1]))
"""


def test_a_kill_leaves_nothing_that_looks_finished_and_two_do_not_write_at_once(
    tmp_path, request, made
):
    here = str(request.path.parent)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path, here], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "writing\n"
    with pytest.raises(BenchError, match=f"is being written by process {process.pid}"):
        writing.write("made", made.collected(made.PLAIN), "here", tmp_path)
    time.sleep(0.2)
    process.kill()
    process.wait()
    process.stdout.close()
    assert not (tmp_path / "made").exists()
    writing.write("made", made.collected(made.PLAIN), "here", tmp_path)
    assert len(list((tmp_path / "made").iterdir())) == 19
    assert [f.name for f in tmp_path.iterdir() if f.is_dir()] == ["made"]


def archive(path, made):
    with zipfile.ZipFile(path, "w") as file:
        for (split, label), array in made.pictures(made.PLAIN, count=4).items():
            for i, image in enumerate(array):
                buffer = io.BytesIO()
                Image.fromarray(image).save(buffer, "JPEG")
                file.writestr(f"{split}/{label}/{i}.jpg", buffer.getvalue())
    return path


def test_from_a_folder_or_an_archive_of_classes(tmp_path, capsys, made):
    source = archive(tmp_path / "my photos.zip", made)
    root = ["--data-root", str(tmp_path / "data")]
    assert main(["prepare", "meta_dataset", "--from", str(source), *root]) == 0
    assert "18 files of records" in " ".join(capsys.readouterr().out.split())
    folder = tmp_path / "data" / "meta_dataset" / "my_photos"
    assert json.loads((folder / specs.FILE).read_text())["name"] == "my_photos"
    # the original files, byte by byte
    with zipfile.ZipFile(source) as file:
        assert examples(folder, 0)[2]["image"] == [file.read("train/train0/2.jpg")]
    assert main(["list", "data", "-v", *root]) == 0
    assert "ready, prepared in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "say what to make records of: --from omniglot"),
        (["--from", "nowhere"], "--from nowhere: neither a folder nor a data set"),
        (["--from", "omniglot"], "--from omniglot: give --source PATH"),
        (["--from", "glyphs", "--source", "."], "--from glyphs: this data set has no images"),
        (["--from", "caltech101", "--source", "missing.zip"], "missing.zip: there is no such file"),
    ],
)
def test_what_cannot_be_converted_is_said(tmp_path, monkeypatch, capsys, flags, words):
    monkeypatch.chdir(tmp_path)
    assert main(["prepare", "meta_dataset", *flags, "--data-root", "data"]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.tfrecords"))


def test_from_is_for_meta_dataset_alone(capsys):
    assert main(["prepare", "omniglot", "--from", "x"]) == 2
    assert "--from x: is for meta_dataset alone" in capsys.readouterr().err


@pytest.mark.slow
def test_the_real_omniglot_gives_the_published_specification(shared_data, tmp_path):
    source = shared_data("omniglot", "omniglot_raw_png.tar.xz")
    published = shared_data("meta_dataset", "dataset_specs", "omniglot_dataset_spec.json")
    writing.convert("omniglot", source, tmp_path)
    ours, theirs = (
        json.loads(file.read_text()) for file in (tmp_path / "omniglot" / specs.FILE, published)
    )
    assert ours.pop("path") != theirs.pop("path")
    assert ours == theirs
    image = Image.open(io.BytesIO(examples(tmp_path / "omniglot", 7)[0]["image"][0]))
    assert image.size == (105, 105)
    assert np.asarray(image).mean() < 30  # bright ink on black
