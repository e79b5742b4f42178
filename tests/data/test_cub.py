import io
import json

import numpy as np
import pytest
from PIL import Image

from bench import CUBDataModule
from bench.base import paths
from bench.base.errors import BenchError
from bench.data import cub


@pytest.fixture
def birds(tmp_path):
    """The folders of CUB_200_2011 with two images of each bird."""
    for number, label in enumerate([*every(), "201.Not_A_Bird"]):
        for i in range(2):
            file = io.BytesIO()
            Image.fromarray(np.full((9, 12, 3), number, np.uint8)).save(file, "PNG")
            path = tmp_path / "CUB_200_2011" / "images" / label / f"{label}_{i}_{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.getvalue())
    return tmp_path / "CUB_200_2011"


def splits():
    return json.loads((paths.facts("cub") / "splits" / "closer_look.json").read_text())


def every():
    return sorted(label for labels in splits().values() for label in labels)


def test_the_split_follows_the_rule_of_the_paper():
    assert len(set(every())) == 200
    assert sorted(splits()["train"]) == every()[::2]
    assert sorted(splits()["val"]) == every()[1::4]
    assert sorted(splits()["test"]) == every()[3::4]


def test_the_classes_of_the_split_are_taken(birds, tmp_path):
    said = cub.prepare(birds, tmp_path / "root")
    assert "Found <class>/*.jpg" in said
    assert "train 100 classes and 200 images, val 50 classes and 100 images" in said
    data = CUBDataModule(ways=5, shots=1, queries=1, data_root=tmp_path / "root")
    for split, labels in splits().items():
        assert sorted(data.classes(split).names) == sorted(labels)
    assert data.episodes("test", np.arange(2)).query_x.shape == (2, 5, 3, 84, 84)


@pytest.mark.parametrize("beside", ["segmentations", "CUB_200_2011/segmentations"])
def test_masks_are_no_photographs(birds, tmp_path, beside):
    cub.prepare(birds, tmp_path / "a")
    for label in every():
        path = birds.parent / beside / label / f"{label}_0.png"
        path.parent.mkdir(parents=True)
        Image.new("L", (12, 9), 255).save(path)
    cub.prepare(birds.parent, tmp_path / "b")
    a, b = ((tmp_path / n / "cub.packed").read_bytes() for n in "ab")
    assert a == b


def test_a_missing_bird_is_named(birds, tmp_path):
    folder = birds / "images" / splits()["val"][0]
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(BenchError, match=f"'{folder.name}' has no images"):
        cub.prepare(birds, tmp_path / "root")


def test_other_folders_are_not_understood(tmp_path):
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / "1.png").write_bytes(b"")
    with pytest.raises(BenchError, match="no layout that is understood"):
        cub.prepare(tmp_path, tmp_path / "root")
