import contextlib
import errno
import os
import subprocess
import sys

import pytest

from bench.base import locks
from bench.base.errors import BenchError

HOLD = """
import sys
from pathlib import Path
from bench.base import locks
with locks.held(Path(sys.argv[1])) as owner:
    print(owner, flush=True)
    sys.stdin.read()
"""


def holder(path):
    """Another process, which holds a lock until it is killed."""
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", HOLD, str(path)], **options)


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path):
    path = tmp_path / "a" / ".lock"
    with holder(path) as process:
        assert process.stdout.readline() == b"None\n"
        for _ in range(2):  # whoever asks does not change what the holder has written
            with locks.held(path) as owner:
                assert owner.startswith(f"process {process.pid} on ")
        process.kill()
    with locks.held(path) as owner:
        assert owner is None
        assert locks.owner(path).startswith(f"process {os.getpid()} on ")


def test_it_is_held_for_as_long_as_the_context_lasts(tmp_path):
    path = tmp_path / ".lock"
    assert locks.taken(path) == 0
    for _ in range(2):
        with locks.held(path) as owner:
            assert owner is None
            with locks.held(path) as owner:
                assert owner.startswith(f"process {os.getpid()} on ")
        assert locks.taken(path) > 0
    with contextlib.suppress(KeyError), locks.held(path):
        raise KeyError
    with locks.held(path) as owner:
        assert owner is None
    assert path.exists()


@pytest.mark.parametrize("target", ["victim", "nowhere", "pipe"])
def test_a_lock_follows_no_link(tmp_path, target):
    path, victim = tmp_path / ".lock", tmp_path / "victim"
    victim.write_text("precious")
    if target == "pipe":
        os.mkfifo(tmp_path / target)
    path.symlink_to(tmp_path / target)
    with (
        pytest.raises(BenchError, match=r"\.lock: is a symbolic link, .*: delete it"),
        locks.held(path),
    ):
        pass
    assert victim.read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()
    assert locks.owner(path) == "another process"  # and nothing waits for a pipe


def test_a_link_that_comes_at_the_last_moment_is_not_followed_either(tmp_path, monkeypatch):
    path, victim = tmp_path / ".lock", tmp_path / "victim"
    victim.write_text("precious")
    path.symlink_to(victim)
    monkeypatch.setattr(type(path), "is_symlink", lambda self: False)
    with pytest.raises(BenchError, match=r"\.lock: cannot be written"), locks.held(path):
        pass
    assert victim.read_text() == "precious"


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with (
            pytest.raises(BenchError, match=f"{name}: cannot be written .*: make room, or choose"),
            locks.held(tmp_path / name),
        ):
            pass


def test_a_folder_through_a_link_is_a_folder(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with locks.held(tmp_path / "link" / ".lock"), locks.held(tmp_path / "real" / ".lock") as owner:
        assert owner.startswith(f"process {os.getpid()} on ")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_stops_nobody(tmp_path, monkeypatch, number):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*arguments):
        raise OSError(number, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    for _ in range(2):
        with locks.held(tmp_path / ".lock") as owner:
            assert owner is None


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(BenchError, match=r"file/\.lock: cannot be written \(.*\): make room"),
        locks.held(tmp_path / "file" / ".lock"),
    ):
        pass
