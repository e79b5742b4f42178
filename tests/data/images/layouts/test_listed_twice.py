"""An image that a list names twice is refused, whatever the list and whoever reads it."""

import json
import pickle

import pytest

from bench.cli.main import main


def twice_in_json(source):
    """The first image for validation is also the last one for testing."""
    val, novel = (json.loads((source / f"{n}.json").read_text()) for n in ("val", "novel"))
    for key in ("image_names", "image_labels"):
        novel[key].append(val[key][0] if key == "image_names" else novel[key][-1])
    (source / "novel.json").write_text(json.dumps(novel))


def twice_in_a_cache(source):
    files, labels, numbers = pickle.loads((source / "val.pth").read_bytes())
    cache = ([*files, files[0]], [*labels, labels[0]], numbers)
    (source / "val.pth").write_bytes(pickle.dumps(cache))


def twice_in_a_table(source):
    with (source / "val.csv").open("a") as table:
        table.write("n0000000600000002.jpg,n00000006\n")


CASES = [
    ("closer_look_json", twice_in_json, "{n}1.png is listed twice, for n00000006 (val) and n00"),
    ("libfewshot_cache", twice_in_a_cache, "{n}1.png is listed twice, for n00000006 (val) and n00"),
    ("ravi_class_folders", twice_in_a_table, "n00000006_14.JPEG is listed twice, for n00000006 ("),
]


@pytest.mark.parametrize(("layout", "change", "words"), CASES)
@pytest.mark.parametrize("command", ["mini_imagenet", "meta_dataset --from mini_imagenet"])
def test_an_image_that_is_listed_twice(
    layout, change, words, command, few_images, written, tmp_path, capsys
):
    source = written(layout, few_images)
    change(source)
    root = tmp_path / "data"
    command = f"prepare {command} --source {source} --data-root {root}".split()
    assert main(command) == 2
    assert words.format(n="n000000060000000") in capsys.readouterr().err
    assert not [path for path in root.rglob("*") if path.is_file() and path.name[0] != "."]
