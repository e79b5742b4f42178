import json
import shutil

import numpy as np
import pytest

from bench.base import tfrecords
from bench.base.errors import BenchError
from bench.data.sources import source as sources
from bench.data.sources.source import Source


def test_images_are_those_that_were_written(records, made):
    source, drawn = Source(records / "colours", 12, ""), made.pictures(made.PLAIN)
    for number in (0, 5, 17):
        split = next(s for s, numbers in source.spec.classes.items() if number in numbers)
        for place in (15, 0, 7):
            found = source.image(number, place)
            assert found.shape == (12, 12, 3)
            wanted = drawn[split, source.spec.names[number]][place]
            assert np.abs(found.astype(int) - wanted).mean() < 8


def test_images_are_resized(records):
    found = Source(records / "colours", 7, "").image(3, 2)
    whole = Source(records / "colours", 12, "").image(3, 2)
    assert found.shape == (7, 7, 3)
    assert np.abs(found.mean((0, 1)) - whole.mean((0, 1))).max() < 6


def test_what_is_kept_is_bounded(records, monkeypatch):
    monkeypatch.setattr(sources, "KEPT_BYTES", 5 * 12 * 12 * 3)
    source = Source(records / "colours", 12, "")
    first = [source.image(number, 1).copy() for number in range(18)]
    assert len(source._decoded) <= 6
    assert all(np.array_equal(source.image(n, 1), image) for n, image in enumerate(first))


@pytest.fixture
def copy(records, tmp_path):
    return shutil.copytree(records / "colours", tmp_path / "colours")


def test_absent_records_are_counted(copy):
    (copy / "3.tfrecords").unlink()
    (copy / "1.tfrecords").unlink()
    with pytest.raises(BenchError, match=r"1\.tfrecords: not there.* 1 others of 6 classes"):
        Source(copy, 12, "").check("train")
    Source(copy, 12, "").check("test")


def test_a_damaged_record_is_named(copy):
    content = bytearray((copy / "2.tfrecords").read_bytes())
    content[40] ^= 1  # within the first record
    (copy / "2.tfrecords").write_bytes(content)
    source = Source(copy, 12, "")
    words = r"2\.tfrecords, record 0: the record at .* is damaged"
    with pytest.raises(BenchError, match=words):
        source.image(2, 0)


def test_a_file_that_is_cut_off_or_of_another_length(copy):
    content = (copy / "2.tfrecords").read_bytes()
    (copy / "2.tfrecords").write_bytes(content[:-5])
    with pytest.raises(BenchError, match=r"2\.tfrecords: the last record is cut off"):
        Source(copy, 12, "").image(2, 0)
    spec = json.loads((copy / "dataset_spec.json").read_text())
    spec["images_per_class"]["4"] = 9
    (copy / "dataset_spec.json").write_text(json.dumps(spec))
    with pytest.raises(BenchError, match=r"4\.tfrecords: holds 16 images, and .* says 9"):
        Source(copy, 12, "").image(4, 0)


def test_a_record_without_an_image(copy):
    empty, number = tfrecords.example({"label": [1]}), tfrecords.example({"image": [7]})
    nothing = b"\x0a\x0b\x0a\x09\x0a\x05image\x12\x00"  # a feature of no kind
    none = b"\x0a\x0d\x0a\x0b\x0a\x05image\x12\x02\x0a\x00"  # a list of no bytes
    for record in (empty, number, nothing, none):
        assert tfrecords.features(record, "").keys() <= {"image", "label"}
        (copy / "2.tfrecords").write_bytes(b"".join(tfrecords.written([record] * 16)))
        with pytest.raises(BenchError, match=r"2\.tfrecords, record 3: has no image"):
            Source(copy, 12, "").image(2, 3)


def test_a_file_that_goes_away_meanwhile(copy):
    source = Source(copy, 12, "get it back")
    source.image(2, 0)
    (copy / "2.tfrecords").write_bytes(b"")
    with pytest.raises(BenchError, match=r"2\.tfrecords, record 1: gone since"):
        source.image(2, 1)
    (copy / "2.tfrecords").unlink()
    with pytest.raises(BenchError, match=r"2\.tfrecords: No such file or directory: get it back"):
        source.image(2, 1)


def test_files_of_other_splits_may_be_absent(copy):
    whole = list(Source(copy, 12, "").identity(["train", "val"]))
    assert len(whole) == 13
    (copy / "17.tfrecords").unlink()
    assert list(Source(copy, 12, "").identity(["train", "val"])) == whole
    with pytest.raises(BenchError, match=r"17\.tfrecords: not there"):
        list(Source(copy, 12, "").identity(["test"]))


def test_no_source(tmp_path):
    with pytest.raises(BenchError, match=r"dataset_spec\.json: No such file.*: do this"):
        _ = Source(tmp_path, 12, "do this").spec
