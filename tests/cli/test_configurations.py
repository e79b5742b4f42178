"""What a configuration file may cost: it is a file of this machine, in UTF-8, of bounded size."""

import os

import pytest
import yaml
from jsonargparse import ArgumentParser, Path

from bench.base.errors import BenchError
from bench.cli import configurations

FIT = "fit --model MAML --data SinusoidDataModule --trainer.accelerator cpu"
LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)


def indented(text, by):
    return "".join(f"{by * ' '}{line}\n" for line in text.splitlines())


CONTENTS = [
    (b"trainer: {max_steps: 1}  # \xe9", "not in UTF-8 (byte 27): save it so"),
    (b"\xff\xfet\0r\0", "not in UTF-8 (byte 0): save it so"),
    (f"trainer: {{max_steps: 1{5000 * '0'}}}", "a value that cannot be read (Exceeds the limit"),
    ("trainer: {max_steps: !!int x}", "a value that cannot be read (invalid literal"),
    ("data: !!timestamp 1", "a value that cannot be read"),
    (LAUGHS, "more than 100,000 values, with what its anchors stand for written out"),
    ("trainer:\n  callbacks:\n" + indented(LAUGHS, 4), "more than 100,000 values"),
    (
        "model:\n  class_path: MAML\n  init_args:\n    model_options:\n" + indented(LAUGHS, 6),
        "more than 100,000 values",
    ),
    ("model: {init_args: {model_options: &a {x: *a}}}", "&a refers to itself: write it out"),
    ("model: {init_args: {model_options: &a [&b [*a]]}}", "&a refers to itself: write it out"),
    (500 * "[", "lists within more than 100 others"),
    (500 * "- ", "lists within more than 100 others"),
]


@pytest.mark.parametrize(("content", "words"), CONTENTS)
@pytest.mark.parametrize("nested", [False, True], ids=["config", "nested"])
def test_what_a_file_may_not_hold(content, words, nested, tmp_path, refused):
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "bad.yaml").write_bytes(content)
    (tmp_path / "run.yaml").write_text("model: bad.yaml" if nested else "model: MAML")
    refused(f"{FIT} --config {'run' if nested else 'bad'}.yaml", f"bad.yaml: {words}")


@pytest.mark.parametrize(
    "name", ["s3://b/x.yaml", "http://b/x.yaml", "gs://b/x", "https://b.c/d.json"]
)
def test_a_file_elsewhere_is_not_fetched(name, tmp_path, refused, monkeypatch):
    monkeypatch.setattr("fsspec.open", None)  # nobody is asked
    words = f"{name}: configurations are read from files of this machine: fetch it first"
    refused(f"{FIT} --config {name}", words)
    if name.endswith((".yaml", ".json")):
        (tmp_path / "run.yaml").write_text(f"model: {name}")
        refused(f"{FIT} --config run.yaml", words)


def test_what_is_no_regular_file_or_too_large(tmp_path, refused, monkeypatch):
    os.mkfifo(tmp_path / "fifo.yaml")
    refused(f"{FIT} --config fifo.yaml", "fifo.yaml: cannot be read: it is a FIFO")
    (tmp_path / "large.yaml").write_text("trainer: {}")
    monkeypatch.setattr(configurations, "MOST_BYTES", 10)
    refused(f"{FIT} --config large.yaml", "large.yaml: cannot be read: it has more than 10 bytes")
    refused(f"{FIT} --model fifo.yaml", "fifo.yaml: cannot be read: it is a FIFO")


def test_values_on_the_command_line_are_checked_too(refused):
    options = "--model.model_options"
    refused(f"{FIT} {options} '&a {{x: *a}}'", "a value on the command line: &a refers to itself")


def loaded(text, tmp_path):
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("--value", type=dict)
    with configurations.checked():
        return parser.parse_args(["--config", str(tmp_path / "x.yaml")]).value


def test_ordinary_anchors_and_other_alphabets_are_read(tmp_path):
    value = loaded("value: {a: &a [1, 2], b: *a, c: {<<: &m {é: 1e-3}, d: *a}}", tmp_path)
    assert value == {"a": [1, 2], "b": [1, 2], "c": {"é": 1e-3, "d": [1, 2]}}
    many = {str(n): n for n in range(1000)}
    assert loaded(yaml.safe_dump({"value": many}), tmp_path) == many


def test_afterwards_all_is_as_it_was(tmp_path):
    before = Path.read_text
    os.mkfifo(tmp_path / "fifo")
    with configurations.checked(), pytest.raises(BenchError, match="it is a FIFO"):
        Path(str(tmp_path / "fifo")).read_text()
    assert Path.read_text is before
