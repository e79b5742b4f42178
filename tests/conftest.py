import hashlib
import io
import os
import re
import shlex
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from rich.console import Console

from bench.tasks.questions import FEATURES, ITEM, POSITION

# short and always the same; `pytest --hypothesis-profile long` looks for new faults
settings.register_profile(
    "short",
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
settings.register_profile("long", settings.get_profile("short"), max_examples=5_000)
settings.load_profile("short")


def pytest_configure(config):
    """Test processes that share the cores (``pytest -n``) do not fight for them with threads."""
    config.option.loadscopereorder = False  # see below
    if hasattr(config, "workerinput"):
        os.environ["OMP_NUM_THREADS"] = "1"
        torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Files with most slow tests come first: at the end no process waits for another's."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def pytest_make_parametrize_id(config, val, argname):
    """Names of cases that are short, and the same in every process: no addresses, no times."""
    if callable(val):
        return getattr(val, "__name__", argname)
    if isinstance(val, bytes):
        return f"{argname}-{len(val)}-bytes"
    if isinstance(val, str) and len(val) > 60:
        return ascii(val[:60])
    return None


@pytest.fixture(autouse=True)
def one_at_a_time(monkeypatch):
    """Grids do their runs in this process, where tests can look; ``--jobs`` says otherwise."""
    from bench.running.launchers.local import Local

    monkeypatch.setattr(Local, "usual", staticmethod(lambda machine: 1))


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


def contents(folder):
    """What lies in a folder: each file with the digest of its content, and the folders."""
    return {
        str(path.relative_to(folder)): path.is_file()
        and hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
    }


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Runs a command that must be refused: ``refused("run quick --jobs 0", "give 1 or more")``.

    In ``tmp_path``, whose folder ``data`` holds prepared data. The command must end with exit code
    2 and one message that holds the words, and must have changed nothing on disk.
    """
    from bench.cli import main as cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAML_BENCH_DATA", str(tmp_path / "data"))
    # Lightning's command line has not followed jsonargparse
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")

    def run(command, words):
        before = contents(tmp_path)
        try:
            code = cli.main(shlex.split(command))
        except SystemExit as stop:  # argparse's own messages
            code = stop.code
        said = capsys.readouterr().err
        assert code == 2, said
        assert words in said, said
        assert re.search("^maml-bench[a-z -]*: ", said, re.MULTILINE), said
        assert "Traceback" not in said
        assert " at 0x" not in said, said  # no object of the program, but the file
        assert contents(tmp_path) == before

    return run


@pytest.fixture
def moved():
    """``moved(learner, by)``: its network built, its parameters off where they start."""

    def move(learner, by=0.3):
        learner.configure_model()
        noise = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for p in learner.parameters():
                p += by * torch.randn(p.shape, generator=noise)
        return learner

    return move


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
