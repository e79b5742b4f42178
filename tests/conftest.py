import io

import pytest
from rich.console import Console


@pytest.fixture
def console():
    """A terminal whose text can be read afterwards: ``console.export_text()``."""
    return Console(record=True, width=160, file=io.StringIO())
