import json
import os
import subprocess
import sys

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.results import records
from bench.results.run_files import RunFiles


def test_written_and_read_back(tmp_path, new_record):
    path = RunFiles.locate(tmp_path, new_record()["experiment"]).record
    assert path == tmp_path / "runs/quick/glyphs-5way-1shot-maml-s0-1a2b3c4d.json"
    records.write(path, new_record())
    text = path.read_text()
    back = records.read(path)
    assert back["evaluation"]["per_episode"]["accuracy"] == [0.1, 0.3333333, None]
    assert back["metrics"]["accuracy"]["ci95"] is None
    assert back["experiment"]["learner"]["inner_lr"] == 0.123456789012  # the key was made from it
    assert back["training"]["seconds"] == 1.234568
    assert '"index": [0, 1, 2],' in text
    assert list(back) == sorted(back)
    records.write(path, back)
    assert path.read_text() == text
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert records.read_all(tmp_path) == records.read_all(tmp_path, "quick") == [back]
    assert records.read_all(tmp_path, "other") == []


def test_fields_of_later_versions_are_kept(tmp_path, new_record):
    more = {"algorithm": {"label": "MAML", "order": 2, "role": None}, "remark": [{"a": None}]}
    records.write(tmp_path / "a.json", new_record() | more)
    assert more.items() <= records.read(tmp_path / "a.json").items()


def test_a_wrong_field_is_named_with_its_file_and_a_remedy(tmp_path, changed):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(changed("experiment.seed", KeyError)))
    with pytest.raises(
        BenchError, match=r"a.json: experiment.seed is missing: .*delete it and run"
    ):
        records.read(path)


def test_another_version_is_named(tmp_path, changed):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(changed("schema", 2)))
    with pytest.raises(BenchError, match="a.json: schema is 2; this version reads 1: use another"):
        records.read(path)


@pytest.mark.parametrize(
    "text", ["", "{", '{"schema": NaN}', '{"schema": 1e999}', "\xff", "[" * 100000, "1" * 5000]
)
def test_a_broken_file_is_named(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(BenchError, match=r"a.json is not a JSON file"):
        records.read(path)


def test_what_is_not_whole_is_not_written(tmp_path, changed):
    with pytest.raises(BenchError, match="accuracy has 1 entries for 3 episodes"):
        records.write(tmp_path / "a.json", changed("evaluation.per_episode.accuracy", [0.1]))
    assert not list(tmp_path.iterdir())


def test_a_run_that_diverged_is_a_result_too(tmp_path, changed):
    path = tmp_path / "a.json"
    records.write(path, changed("evaluation.per_episode.accuracy", [np.nan] * 3))
    assert records.read(path)["evaluation"]["per_episode"]["accuracy"] == [None] * 3


def test_a_record_in_the_wrong_place_is_refused(tmp_path, new_record):
    records.write(tmp_path / "runs/quick/copy.json", new_record())
    with pytest.raises(BenchError, match=r"belongs at .*1a2b3c4d.json: move it there"):
        records.read_all(tmp_path)


def test_an_unwritable_folder_is_said(tmp_path, new_record):
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match=r"cannot be written .*choose another folder"):
        records.write(tmp_path / "file" / "a.json", new_record())
    with pytest.raises(BenchError, match="cannot be a file name"):
        RunFiles.locate(tmp_path, {"suite": "..", "key": "a"})


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, changed):
    path = tmp_path / "a.json"
    records.write(path, changed("chosen", "by hand"))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BenchError, match="No space left"):
        records.write(path, changed("chosen", "otherwise"))
    assert records.read(path)["chosen"] == "by hand"
    assert len(list(tmp_path.iterdir())) == 1


def test_torch_is_not_imported():
    heavy = (
        "import sys, bench.results.records, bench.results.tables; "
        "print({'torch', 'lightning'} & {*sys.modules})"
    )
    command = [sys.executable, "-c", heavy]
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == "set()"
