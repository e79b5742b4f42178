import pytest

from bench.base import paths
from bench.base.errors import BenchError


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    paths.write_text(path, "old")
    with pytest.raises(KeyError):
        half_written(path)
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def half_written(path):
    with paths.replacing(path) as file:
        file.write(b"new")
        raise KeyError


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o444])
def test_permissions_stay(tmp_path, mode):
    path = tmp_path / "a.txt"
    paths.write_text(path, "old")
    path.chmod(mode)
    paths.write_text(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == mode


def test_a_link_is_replaced_and_not_followed(tmp_path):
    victim, path = tmp_path / "victim", tmp_path / "a.txt"
    victim.write_text("precious")
    victim.chmod(0o600)
    path.symlink_to(victim)
    paths.write_text(path, "new")
    assert victim.read_text() == "precious"
    assert not path.is_symlink()
    assert path.read_text() == "new"


def test_what_the_system_refuses_is_said_with_path_and_remedy(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        BenchError, match=r"file/a: cannot be written \(.+\): choose another folder"
    ):
        paths.write_text(tmp_path / "file" / "a", "text")
    with (
        pytest.raises(BenchError, match=r"^a: cannot be written \(No space left\): make room$"),
        paths.explain_refusal("a", "make room"),
    ):
        raise OSError(28, "No space left")
    with (
        pytest.raises(BenchError, match=r"^a: cannot be written \(odd\): make room$"),
        paths.explain_refusal("a", "make room"),
    ):
        raise OSError("odd")  # which has no number
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
