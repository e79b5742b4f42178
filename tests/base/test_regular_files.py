import os
import socket

import pytest

from bench.base import npz, regular_files


@pytest.fixture
def sparse(tmp_path):
    """A file that says it has a terabyte, and holds nothing."""
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    return tmp_path / "sparse"


def test_a_file_is_read_as_it_is(tmp_path):
    (tmp_path / "file").write_bytes(b"caf\xc3\xa9\r\n")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        assert regular_files.read_bytes(tmp_path / name) == b"caf\xc3\xa9\r\n"
        assert regular_files.read_text(tmp_path / name) == "café\r\n"
    with regular_files.open_to_read(tmp_path / "link") as file:
        assert file.read(3) == b"caf"
    assert regular_files.read_bytes(tmp_path / "file", most=7) == b"caf\xc3\xa9\r\n"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (os.mkfifo, "it is a FIFO, not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a regular file"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.symlink_to("nowhere"), "No such file"),
        (lambda path: path.symlink_to(path.name), "symbolic links"),
    ],
)
def test_anything_else_is_refused_at_once(make, words, tmp_path):
    make(tmp_path / "x")
    for read in (regular_files.open_to_read, regular_files.read_bytes, regular_files.read_text):
        with pytest.raises(OSError, match=words):
            read(tmp_path / "x")


def test_a_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # its path may have a hundred bytes only
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("x")
        with pytest.raises(OSError, match="it is a socket, not a regular file"):
            regular_files.read_bytes("x")


def test_more_than_expected_is_refused(tmp_path, sparse):
    (tmp_path / "file").write_bytes(bytes(11))
    with pytest.raises(OSError, match="more than 10 bytes"):
        regular_files.read_bytes(tmp_path / "file", most=10)
    with pytest.raises(OSError, match="more than 268,435,456 bytes"):
        regular_files.read_bytes(sparse)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_readers_of_files_from_elsewhere_do_not_wait(make, tmp_path):
    make(tmp_path / "x.npz")
    with pytest.raises(OSError, match="not a regular file"):
        npz.load(tmp_path / "x.npz")
