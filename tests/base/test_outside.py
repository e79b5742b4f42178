import importlib.metadata
import sys
import textwrap

import pytest

from bench.base import outside, registry
from bench.base.errors import BenchError
from bench.cli.main import main
from bench.results import records, tables
from bench.running import suite_files
from bench.running.suites.quick import SUITE

ANIL = '''
    """ANIL: the head alone adapts."""

    from bench.learning.gradient_based import GradientBased


    class MyANIL(GradientBased):
        label = "my ANIL"

        def start(self, episode):
            return {n: p for n, p in super().start(episode).items() if n.startswith("head.")}
'''
DATA = '''
    """Sinusoids of one frequency, under another name."""

    from bench.data.sinusoid import SinusoidDataModule


    class WavesDataModule(SinusoidDataModule):
        pass
'''
NET = """
    from torch import nn


    class MyNet(nn.Module):
        def __init__(self, spec):
            super().__init__()
            self.layers = nn.Linear(spec.input_shape[0], spec.outputs)

        def forward(self, x):
            return self.layers(x)
"""
SMALL = [
    "--set",
    "iterations=2",
    "validations=1",
    "val_episodes=2",
    "test_episodes=3",
    "tasks_per_batch=2",
]


@pytest.fixture(autouse=True)
def nothing_added(monkeypatch):
    monkeypatch.setattr(registry, "_outside", {})
    registry.declaration.cache_clear()


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Writes a file of somebody's own and gives its name: ``file("my_anil.py", ANIL)``."""
    monkeypatch.chdir(tmp_path)

    def write(name, text):
        (tmp_path / name).write_text(textwrap.dedent(text))
        return f"./{name}"

    return write


def test_an_algorithm_in_a_file_runs_beside_those_of_the_suite(file, tmp_path):
    path = file("my_anil.py", ANIL)
    command = ["run", "quick", "--datasets", "sinusoid", "--algorithms", path, "fomaml", *SMALL]
    assert main([*command, "--out", "out"]) == 0
    found = {r["experiment"]["algorithm"]: r for r in records.read_all(tmp_path / "out")}
    assert found.keys() == {"my_anil", "fomaml"}
    code = found["my_anil"]["experiment"]["code"]
    assert code["my_anil"].startswith("sha256:")
    assert "code" not in found["fomaml"]["experiment"]
    registry._outside.clear()  # tables are made of records alone
    assert "my ANIL, second order" in tables.to_markdown(list(found.values()))


def test_another_content_is_another_run(file):
    keys = []
    for text in (ANIL, ANIL + "\n    # changed\n"):
        registry._outside.clear()
        (experiment,) = SUITE.experiments([file("my_anil.py", text)], ["sinusoid"])
        keys.append(experiment.key)
    assert keys[0] != keys[1]


def test_a_data_set_in_a_file_runs_like_the_first_study_of_its_kind(file):
    (experiment,) = SUITE.experiments(["maml"], [file("waves.py", DATA)])
    assert experiment.dataset == "waves"
    (like,) = SUITE.experiments(["maml"], ["sinusoid"])
    assert experiment.iterations == like.iterations
    assert experiment.learner == like.learner


def test_a_model_in_a_file_is_named_by_set(file, tmp_path):
    settings = [*SMALL, f"model={file('my_net.py', NET)}"]
    command = ["run", "quick", "--datasets", "sinusoid", "--algorithms", "maml", *settings]
    assert main([*command, "--out", "out"]) == 0
    (record,) = records.read_all(tmp_path / "out")
    assert record["experiment"]["learner"]["model"] == "my_net"
    assert record["experiment"]["code"].keys() == {"my_net"}
    assert record["cost"]["parameters"] == 2


def test_a_suite_in_a_file(file, tmp_path):
    path = file(
        "mine.py",
        """
        from bench.running.suite import Study, Suite

        SUITE = Suite("mine", "of my own", (Study("sinusoid", {"maml": {}}, iterations=2),))
        """,
    )
    assert main(["run", path, *SMALL, "--out", "out"]) == 0
    (record,) = records.read_all(tmp_path / "out")
    assert record["experiment"]["suite"] == "mine"


def test_a_suite_of_an_entry_point_may_have_a_hyphen(file, tmp_path, monkeypatch):
    file("their_suites.py", "SUITE = 'theirs'")
    monkeypatch.syspath_prepend(tmp_path)
    point = importlib.metadata.EntryPoint("of-theirs", "their_suites:SUITE", "maml_bench.suites")
    monkeypatch.setattr(outside.importlib.metadata, "entry_points", lambda group: [point])
    outside.entry_points.cache_clear()
    assert suite_files.find("of-theirs") == "theirs"
    outside.entry_points.cache_clear()
    del sys.modules["their_suites"]


def test_a_class_of_a_package_and_an_entry_point(file, tmp_path, monkeypatch):
    file("theirs.py", ANIL)
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.add("algorithms", "theirs:MyANIL") == "my_anil"
    assert registry.load("algorithms", "my_anil").label == "my ANIL"
    point = importlib.metadata.EntryPoint("theirs", "theirs:MyANIL", "maml_bench.algorithms")
    monkeypatch.setattr(outside.importlib.metadata, "entry_points", lambda group: [point])
    outside.entry_points.cache_clear()
    assert registry.add("algorithms", "theirs") == "theirs"
    assert registry.load("algorithms", "theirs").__name__ == "MyANIL"
    outside.entry_points.cache_clear()
    del sys.modules["theirs"]


def test_no_record_loads_code_by_itself(file, tmp_path, capsys):
    path = file("my_anil.py", ANIL)
    command = ["run", "quick", "--datasets", "sinusoid", "--algorithms", path, *SMALL]
    assert main([*command, "--out", "out"]) == 0
    (record,) = (tmp_path / "out").glob("runs/quick/*.json")
    registry._outside.clear()
    registry.declaration.cache_clear()
    assert main(["reproduce", str(record)]) == 2
    assert "unknown algorithm 'my_anil'" in capsys.readouterr().err
    assert main(["reproduce", str(record), "--algorithms", path]) == 0


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("absent.py", None, "absent.py: No such file or directory: name a Python file"),
        ("broken.py", "x = = 1", r"cannot be loaded \(SyntaxError"),
        ("fails.py", "raise ValueError('why')", r"cannot be loaded \(ValueError: why\)"),
        ("empty.py", "", "0 classes made of MetaLearner"),
        ("maml.py", ANIL, "there is another algorithm called maml: rename this one"),
        ("a b.py", ANIL, "file name is letters, digits and _ alone"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(file, name, text, words):
    path = file(name, text) if text is not None else f"./{name}"
    with pytest.raises(BenchError, match=words):
        SUITE.experiments([path], ["sinusoid"])


def test_what_is_no_place_is_a_name():
    assert registry.add("algorithms", "maml") == "maml"
    with pytest.raises(BenchError, match="write package.module:Class"):
        registry.add("algorithms", "a b:C")
    with pytest.raises(BenchError, match="cannot be loaded"):
        registry.load("algorithms", registry.add("algorithms", "no.such.package:MyMethod"))
