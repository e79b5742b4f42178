import json

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.data.images import packed
from bench.data.images.episodes import ImageClasses


@pytest.fixture
def classes():
    images = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 3), np.uint8)
    return ImageClasses(images, np.array([0, 3, 5]), np.array([3, 2, 2]), ["a", "b", "ç/d"])


def test_what_is_written_is_read(tmp_path, classes):
    path = tmp_path / "new folder" / "x.packed"
    packed.write(path, classes)
    read = packed.read(path, "remedy")
    for wrote, got in zip(classes, read):
        assert np.array_equal(wrote, got)
    assert [p.name for p in path.parent.iterdir()] == ["x.packed"]
    with path.open("rb") as file:  # as `head -1` shows it
        assert json.loads(file.readline())["shape"] == [7, 3, 4, 5]


def test_select_shares_the_pixels(classes):
    chosen = packed.select(classes, ["ç/d", "a"])
    assert chosen.images is classes.images
    assert chosen.start.tolist() == [5, 0]
    assert chosen.count.tolist() == [2, 3]


def test_missing_cache_says_the_remedy(tmp_path):
    with pytest.raises(BenchError, match=r"x\.packed: there is no such file yet: run this"):
        packed.read(tmp_path / "x.packed", "run this")


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b[:-1],
        lambda b: b[:20],
        lambda b: b"",
        lambda b: b + b"x",
        lambda b: b[:-1] + bytes([b[-1] ^ 1]),
        lambda b: b"[1]\n" + b,
        lambda b: b"\xff\n" + b,
        lambda b: b'{"format": "maml-bench images 3"}\n',
    ],
)
def test_damaged_cache_is_refused(tmp_path, classes, damage):
    path = tmp_path / "x.packed"
    packed.write(path, classes)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BenchError, match=r"x\.packed: damaged: run prepare again: run this"):
        packed.read(path, "run this")


def test_other_version_is_refused(tmp_path, classes):
    path = tmp_path / "x.packed"
    packed.write(path, classes)
    path.write_bytes(path.read_bytes().replace(b"images 3", b"images 2"))
    with pytest.raises(BenchError, match="another version: run prepare again"):
        packed.read(path, "run this")


def test_failed_write_leaves_the_old_cache(tmp_path, classes, monkeypatch):
    path = tmp_path / "x.packed"
    packed.write(path, classes)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(BenchError, match=r"cannot be written \(No space left"):
        packed.write(path, classes._replace(names=["x", "y", "z"]))
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match=r"file/root: cannot be written .* --data-root"):
        packed.check_writable(tmp_path / "file" / "root" / "x.packed")


def test_folder_without_permission_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)  # whoever runs the tests may be root
    with pytest.raises(BenchError, match="cannot be written"):
        packed.check_writable(tmp_path / "x.packed")


def test_the_checksum_is_of_all_pixels_and_names(tmp_path, classes):
    def written(**changes):
        packed.write(tmp_path / "x.packed", classes._replace(**changes))
        return packed.checksum(tmp_path / "x.packed", "make it")

    pixels = classes.images.copy()
    pixels[-1, -1, -1] ^= 1
    assert written() == written()
    assert len({written(), written(images=pixels), written(names=["x", "y", "z"])}) == 3
