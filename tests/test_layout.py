"""What the layout of the repository promises."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.base import registry

ROOT = Path(__file__).resolve().parents[1]


def test_no_python_under_datasets():
    """A package there would shadow HuggingFace's ``datasets``."""
    assert not list((ROOT / "datasets").rglob("*.py"))


def test_the_top_of_the_package_can_be_taken_in_at_a_glance():
    """A folder for each concept, and what Python needs there."""
    entries = [path.name for path in (ROOT / "bench").iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 14, sorted(entries)


def test_imports_run_one_way():
    """The wings in their order, and no circle anywhere: the contracts in pyproject.toml."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_public_name_is_where_it_is_said_to_be():
    plug_ins = {
        registry.class_name(kind, name): registry.load(kind, name)
        for kind in ("algorithms", "data", "models")
        for name in registry.names(kind)
    }
    assert {name: getattr(bench, name) for name in plug_ins} == plug_ins
    others = {"BenchError", "Episode", "EpisodeDataModule", "MetaLearner", "TaskSpec"}
    others |= {"Study", "Suite", "Tutor", "run"}
    assert {*bench.__all__} == {*plug_ins, *others, "__version__", "results"}
    assert all(getattr(bench, name).__name__ == name for name in others)


def test_every_data_set_has_a_card():
    for path in (ROOT / "bench" / "data").glob("[!_]*.py"):
        card = (ROOT / "datasets" / path.stem / "README.md").read_text().lower()
        assert "licence" in card, path.stem


@pytest.mark.parametrize("path", sorted((ROOT / "bench").rglob("*.py")), ids=lambda p: p.name)
def test_files_stay_small(path):
    assert len(path.read_text().splitlines()) <= 400


def test_ci_runs_the_test_command_of_the_readme():
    readme, script = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    block = re.search(r"<!-- test command -->\n```bash\n(.+)\n```", readme)
    assert block
    assert "pytest" in block[1]
    assert "<!-- test command -->" in script
