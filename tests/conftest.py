import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from bench.students.episodes import FEATURES, ITEM, POSITION


@pytest.fixture
def console():
    """A terminal whose text can be read afterwards: ``console.export_text()``."""
    return Console(record=True, width=160, file=io.StringIO())


@pytest.fixture
def double():
    """New tensors and modules are in float64, where exactness is claimed."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(scope="session")
def shared_data():
    """Real files kept beside the project: ``shared_data("images", "photographs.zip")``.

    Skips the test where they are absent. The variable ``MAML_BENCH_SHARED`` names another folder.
    """
    root = Path(
        os.environ.get("MAML_BENCH_SHARED") or Path(__file__).resolve().parents[2] / "shared"
    )

    def find(*parts):
        path = root.joinpath("data", *parts)
        if not path.exists():
            pytest.skip(f"no {path}")
        return path

    return find


@pytest.fixture
def rows():
    """The input columns of items met in this order, ``rows(data, [students, length])``."""

    def make(data, item):
        x = np.empty((*item.shape, FEATURES + data.features.shape[1]))
        x[..., FEATURES:] = data.features[item]
        x[..., ITEM] = np.minimum(item, data.items)
        x[..., POSITION] = np.arange(item.shape[1])
        return x

    return make
