import os

import pytest
import torch

from bench.base import gpu_search


@pytest.mark.parametrize(("found", "told"), [(False, {"CUDA_VISIBLE_DEVICES": ""}), (True, {})])
def test_torch_is_told_to_look_no_further_where_there_is_no_gpu(found, told, monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found)
    gpu_search.look_once()
    assert os.environ == told


def test_what_the_user_says_stays(monkeypatch):
    monkeypatch.setattr(os, "environ", {"CUDA_VISIBLE_DEVICES": "1"})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu_search.look_once()
    assert os.environ == {"CUDA_VISIBLE_DEVICES": "1"}
