import json

import numpy as np
import pytest

from bench.base import paths
from bench.data import caltech101
from bench.data.caltech101 import Caltech101DataModule


def test_the_split_of_the_card():
    split = json.loads((paths.facts("caltech101") / "splits" / "small.json").read_text())
    assert [len(split[s]) for s in ("train", "val", "test")] == [64, 16, 20]
    assert len(set().union(*split.values())) == 100


@pytest.mark.slow
def test_real_photographs(tmp_path, shared_data):
    said = caltech101.prepare(shared_data("images", "caltech101_84x84.zip"), tmp_path)
    assert "Found {train,val,test}" in said
    assert "NOT the standard" not in said
    data = Caltech101DataModule(shots=5, data_root=tmp_path)
    split = json.loads((paths.facts("caltech101") / "splits" / "small.json").read_text())
    for name, classes in split.items():
        assert data.classes(name).names == classes
    assert data.episodes("test", np.arange(2)).query_x.shape == (2, 75, 3, 84, 84)
