import io

import pytest
import torch
from rich.console import Console


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
