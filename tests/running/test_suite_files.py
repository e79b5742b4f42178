"""Suites as YAML files: those of the project come back as they are, and mistakes have a line."""

import dataclasses
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

from bench.base import registry
from bench.base.errors import BenchError
from bench.cli.main import main
from bench.results import records
from bench.running import grid, jobs, suite_files
from bench.running.suite import Study, Suite

TINY = """\
name: tiny
description: for tests
seeds: [0, 1]
studies:
- dataset: sinusoid
  iterations: 2
  validations: 1
  shots: [5]
  data: {val_episodes: 2, test_episodes: 3}
  learner: {inner_lr: 1e-2}
  algorithms:
    maml: {order: 1}
    random_init: {}
"""


@pytest.fixture
def read(tmp_path):
    """Reads a suite from text, ``read("name: mine")``."""

    def reading(text):
        path = tmp_path / "mine.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return suite_files.read(path)

    return reading


@pytest.mark.parametrize("name", registry.names("suites"))
def test_what_is_written_of_a_suite_is_the_suite(name, read):
    suite = registry.load("suites", name)
    again = read(suite_files.to_yaml(suite))
    plans = [[(e.key, str(e), e.fields) for e in s.experiments()] for s in (suite, again)]
    assert plans[0] == plans[1]
    listed = [yaml.safe_load(suite_files.to_yaml(s)) for s in (suite, again)]
    assert listed[0] == listed[1]


def test_a_file_runs_as_the_suite_that_it_describes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(jobs, "cost", lambda *run: None)
    monkeypatch.setattr(grid, "report", lambda *run: None)
    (tmp_path / "tiny.yml").write_text(TINY)
    command = ["run", str(tmp_path / "tiny.yml"), "--seeds", "0"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    found = [r["experiment"] for r in records.read_all(tmp_path / "out")]
    suite = Suite(
        "tiny",
        "",
        (
            Study(
                "sinusoid",
                {"maml": {"order": 1}, "random_init": {}},
                2,
                1,
                shots=(5,),
                data={"val_episodes": 2, "test_episodes": 3},
                learner={"inner_lr": 0.01},
            ),
        ),
    )
    assert {e["key"] for e in found} == {e.key for e in suite.experiments()}


def test_show_prints_what_run_takes(tmp_path, capsys):
    assert main(["show", "quick", "--format", "yaml"]) == 0
    printed = capsys.readouterr().out
    (tmp_path / "mine.yaml").write_text(printed)
    assert main(["show", str(tmp_path / "mine.yaml"), "--format", "yaml"]) == 0
    assert capsys.readouterr().out == printed
    assert main(["show", "meta-dataset-small"]) == 0
    assert "varying" in capsys.readouterr().out


def test_a_suite_is_shown_without_loading_torch():
    code = (
        "import sys; from bench.cli.main import main\n"
        "for form in ('table', 'yaml'):\n"
        "    assert main(['show', 'quick', '--format', form]) == 0\n"
        "assert not {'torch', 'lightning', 'pandas'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_several_fields_share_is_written_each_time(read):
    shared = {"model_options": {"filters": 4}}
    studies = (Study("glyphs", {"maml": shared, "fomaml": shared}, 1, ways=(5,), shots=(1, 2)),)
    text = suite_files.to_yaml(Suite("mine", "it's: 1e-3", studies))
    assert "&" not in text
    assert read(text) == Suite("mine", "it's: 1e-3", studies)
    odd = dataclasses.replace(studies[0], learner={"model_options": {"where": Path("x")}})
    with pytest.raises(BenchError, match="suite mine cannot be written as YAML"):
        suite_files.to_yaml(Suite("mine", "", (odd,)))


def test_anchors_are_read(read):
    text = TINY.replace("maml: {order: 1}", "maml: &a {order: 1}\n    anil: *a")
    (study,) = read(text).studies
    assert study.algorithms["anil"] == {"order": 1}


def test_a_method_of_ones_own_is_in_a_file_if_the_command_names_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(registry, "_outside", {})
    registry.declaration.cache_clear()
    (tmp_path / "mine.yaml").write_text(TINY.replace("random_init", "my_anil"))
    command = ["run", str(tmp_path / "mine.yaml"), "--dry-run", "--out", str(tmp_path)]
    assert main(command) == 2
    assert "studies[0].algorithms.my_anil: unknown algorithm" in capsys.readouterr().err
    path = Path(__file__).parents[1] / "outside" / "my_anil.py"
    assert main([*command, "--algorithms", str(path), "maml"]) == 0
    assert "sinusoid 5shot my_anil seed 1" in capsys.readouterr().out
    registry.declaration.cache_clear()


def changed(old, new):
    assert old in TINY
    return TINY.replace(old, new)


LAUGHS = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "mine.yaml: it is empty"),
        ("- 1", "line 1: a suite has fields, such as name"),
        ("name: x", "line 1: a suite needs description: add it"),
        (changed("name: tiny", "name: ../x"), r"line 1, name: '../x': give letters, digits"),
        (changed("name: tiny", "nam: x\nname: y"), "line 1, nam: a suite has no such field"),
        (changed("seeds: [0, 1]", "seeds: [a]"), "line 3, seeds: .*give a list of whole numbers"),
        (changed("studies:", "studies: {}\nx:"), "line 4, studies: .*give a list"),
        (changed("  iterations: 2\n", ""), r"line 5, studies\[0\]: a study needs iterations"),
        (changed("ons: 2", "ons: -2"), r"line 6, studies\[0\].iterations: .*of at least 0"),
        (changed("ons: 2", "ons: two"), r"line 6, studies\[0\].iterations: .*give a whole number"),
        (changed("ions: 1\n", "ions: 0\n"), r"line 7, studies\[0\].validations: .*at least 1"),
        (changed("sinusoid", "sinusoids"), r"line 5, studies\[0\].dataset: .*did you mean sinuso"),
        (changed("  shots", "  ways: [5]\n  shots"), r"line 8, .*ways: sinusoid has no argument"),
        (changed("shots: [5]", "shots: [x]"), r"line 8, studies\[0\].shots: .*list of whole num"),
        (changed("shots: [5]", "shot: [5]"), r"line 8, .*shot: a study .*did you mean shots"),
        (changed("val_ep", "val_up"), r"line 9, studies\[0\].data.val_upisodes: sinusoid has no"),
        (changed("{val_", "{shots: 5, val_"), r"line 9, .*data.shots: it follows from the field"),
        (changed("inner_lr", "inner_lrr"), r"line 10, .*learner.inner_lrr: no algorithm here has"),
        (changed("1e-2", "high"), r"line 10, studies\[0\].learner.inner_lr: .*give a number"),
        (
            changed(" maml", " mamml"),
            r"line 12, studies\[0\].algorithms.mamml: .*did you mean maml",
        ),
        (
            changed("order: 1", "order: 3"),
            r"line 12, .*algorithms.maml.order: order=3: give 1 or 2",
        ),
        (changed("order: 1", "iterations: -1"), r"line 12, .*algorithms.maml: .*of at least 0"),
        (changed("init: {}", "init:"), r"line 13, .*random_init: random_init=None: give a dict"),
        (TINY + "    maml: {}\n", r"line 14, .*algorithms.maml: is there twice"),
        (TINY + "    yes: {}\n", r"line 14, .*algorithms: 'yes' is no word: write it in quotes"),
        (TINY + "  repeats: [{folds: 1}]\n", r"line 14, .*repeats\[0\].folds: sinusoid has no arg"),
        (changed("tiny", "!!python/object/apply:os.system [id]"), "line 1, name: tag:yaml.org.*wr"),
        (changed("tiny", "2001-01-01"), "line 1, name: tag:yaml.org,2002:timestamp: write a num"),
        (changed("order: 1", "<<: {order: 1}"), "line 12, .*'<<' is no word"),
        (changed("ons: 2", "ons: !!int x"), r"line 6, studies\[0\].iterations: cannot be read"),
        (changed("ons: 2", "ons: !!int ''"), r"line 6, studies\[0\].iterations: cannot be read"),
        (changed("ons: 2", "ons: 2" + 5000 * "0"), r"line 6, .*iterations: cannot be read \(Exce"),
        (changed("ons: 2", "ons: !!bool x"), r"line 6, studies\[0\].iterations: cannot be read"),
        (changed("{order: 1}", "&a {model_options: *a}"), "&a refers to itself: write it out"),
        (TINY + "\n  ]", "mine.yaml, line 15: no YAML"),
        (TINY + "---\nx: 1", "no YAML: but found another document"),
        ("name: \x00", "mine.yaml: no YAML"),
        ("a0: &a0 [x, x, x]\n" + LAUGHS, "more than 100,000 values"),
        (500 * "[", "lists within more than 100 others"),
        (b"name: \xe9", r"mine.yaml: not in UTF-8 \(byte 6\)"),
        (2**20 * "# and so on\n", "mine.yaml: it has more than 1,048,576 bytes"),
    ],
)
def test_a_mistake_is_said_with_its_line_and_field(read, text, words):
    with pytest.raises(BenchError, match=words):
        read(text)


def test_a_file_that_is_none(tmp_path, refused):
    refused("run none.yaml", "none.yaml: No such file or directory: name a YAML file")
    (tmp_path / "folder.yaml").mkdir()
    refused("show folder.yaml", "folder.yaml: Is a directory: name a YAML file")
    (tmp_path / "bad.yaml").write_text(textwrap.dedent("name: x\n  y: z"))
    refused("tune bad.yaml", "bad.yaml, line 2: no YAML: mapping values are not allowed in")
