import gzip
import io
import os
import stat
import tarfile
import tracemalloc
import zipfile

import pytest

from bench.base import archives
from bench.base.errors import BenchError

FILES = {"train/a/1.png": b"one" * 999, "train/b/2.png": b"", "table.csv": b"filename,label\n"}
TARS = {"x.tar": "w", "x.tar.gz": "w:gz", "x.tgz": "w:gz", "x.tar.xz": "w:xz", "x.tar.bz2": "w:bz2"}


def pack(path, files=FILES, junk=()):
    """Writes files as the kind of thing that the path's name says."""
    everything = {**files, **dict.fromkeys(junk, b"junk")}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in everything.items():
                archive.writestr(name, content)
    elif path.suffix:
        with tarfile.open(path, TARS[path.name]) as archive:
            for name, content in everything.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    else:
        for name, content in everything.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    return path


@pytest.mark.parametrize("kind", ["folder", "x.zip", *TARS])
def test_same_files_from_everything(tmp_path, kind):
    junk = ["__MACOSX/train/a/._1.png", ".DS_Store", "train/.hidden/3.png"]
    source = pack(tmp_path / kind, junk=junk)
    with archives.opened(source) as tree:
        assert sorted(tree.names) == sorted(FILES)
        assert dict(tree.stream(tree.names)) == FILES
        assert dict(tree.stream(["table.csv"])) == {"table.csv": FILES["table.csv"]}
        backwards = reversed(tree.names)
        assert dict(tree.stream(backwards)) == FILES


@pytest.mark.parametrize("kind", ["x.zip", "x.tar.gz"])
def test_archive_inside_another_one(tmp_path, kind):
    source = pack(tmp_path / kind)
    with archives.opened(tmp_path / "outer.tar" / kind, source.read_bytes()) as tree:
        assert dict(tree.stream(tree.names)) == FILES


@pytest.mark.parametrize("kind", ["x.zip", "x.tar"])
@pytest.mark.parametrize(
    "name", ["../out.png", "a/../../out.png", "/out.png", "C:\\out", "a\\..\\b"]
)
def test_paths_that_lead_out_are_refused(tmp_path, kind, name):
    source = pack(tmp_path / kind, {name: b""})
    with pytest.raises(BenchError, match="points out of the archive"), archives.opened(source):
        pass


def test_links_are_refused(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        member = tarfile.TarInfo("link.png")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        member = zipfile.ZipInfo("link.png")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    for name in ("x.tar", "x.zip"):
        with (
            pytest.raises(BenchError, match=rf"{name}: holds a link.*link\.png"),
            archives.opened(tmp_path / name),
        ):
            pass


@pytest.mark.parametrize("kind", ["folder", "x.zip", "x.tar.gz"])
def test_too_many_files_are_refused(tmp_path, kind, monkeypatch):
    source = pack(tmp_path / kind)
    monkeypatch.setattr(archives, "MOST_FILES", 2)
    with pytest.raises(BenchError, match=f"{kind}: more than 2 files"), archives.opened(source):
        pass


@pytest.mark.parametrize("kind", ["x.zip", "x.tar.gz"])
def test_bombs_are_refused(tmp_path, kind, monkeypatch):
    source = pack(tmp_path / kind, {"zeros": bytes(10**6)})
    assert source.stat().st_size < 10**4
    monkeypatch.setattr(archives, "MOST_BYTES", 10**5)
    with pytest.raises(BenchError, match="not the data set"), archives.opened(source):
        pass


LONG = [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK]
LONG += [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE]


def long_named(path, length, kind=tarfile.GNUTYPE_LONGNAME, files=1, before=1):
    """A tar of empty files whose names, or what else is said of them, have so many bytes."""
    with gzip.open(path, "wb") as file:
        for number in range(before + files):
            if number >= before:
                header = tarfile.TarInfo("x")
                header.type, header.size = kind, length
                file.write(header.tobuf(tarfile.GNU_FORMAT))
                name = b"%09d.png" % number + b"a" * length
                text = b"%d path=" % length + name
                whole = name[:length] if kind in LONG[:2] else text[: length - 1] + b"\n"
                file.write(whole + bytes(-length % tarfile.BLOCKSIZE))
            file.write(tarfile.TarInfo(f"{number}.png").tobuf())
        file.write(bytes(2 * tarfile.BLOCKSIZE))
    return path


@pytest.mark.parametrize("kind", LONG)
@pytest.mark.parametrize("before", [0, 1])
def test_a_name_without_end_is_refused_before_it_is_read(tmp_path, kind, before):
    source = long_named(tmp_path / "x.tar.gz", 20 * 2**20, kind, before=before)
    assert source.stat().st_size < 10**5
    tracemalloc.start()
    words = r"^[^\n]*a name of 20,971,520 bytes[^\n]*$"
    with pytest.raises(BenchError, match=words), archives.opened(source):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * 2**20


def test_long_names_are_read_and_not_too_many(tmp_path):
    with archives.opened(long_named(tmp_path / "x.tar.gz", 5000)) as tree:
        assert [len(name) for name in tree.names] == [5, 5000]
    with archives.opened(long_named(tmp_path / "x.tar.gz", 5000, tarfile.XHDTYPE)) as tree:
        assert [len(name) for name in tree.names] == [5, 4989]
    source = long_named(tmp_path / "x.tar.gz", 2**20, files=70)
    with pytest.raises(BenchError, match="names of 68,"), archives.opened(source):
        pass


@pytest.mark.parametrize("kind", ["folder", "x.zip", "x.tar.gz"])
def test_large_files_are_read_by_pieces_only(tmp_path, kind, monkeypatch):
    source = pack(tmp_path / kind, {"zeros": bytes(10**6)})
    monkeypatch.setattr(archives, "MOST_BYTES_OF_A_FILE", 10**5)
    with archives.opened(source) as tree:
        with pytest.raises(BenchError, match=rf"{kind}: zeros has more than .* not the data set"):
            list(tree.stream(["zeros"]))
        with tree.file("zeros") as file:
            assert len(file.read(999_999)) == 999_999
            assert file.read(5) == b"\0"


def test_damage_is_named_when_pieces_are_read(tmp_path):
    source = pack(tmp_path / "x.zip", {"1.png": os.urandom(300_000)})
    content = bytearray(source.read_bytes())
    content[len(content) // 2] ^= 1
    source.write_bytes(content)
    with (
        archives.opened(source) as tree,
        pytest.raises(BenchError, match=r"x\.zip: damaged"),
        tree.file("1.png") as file,
    ):
        list(iter(lambda: file.read(1000), b""))


def read_all(source):
    with archives.opened(source) as tree:
        return dict(tree.stream(tree.names))


@pytest.mark.parametrize("kind", ["x.zip", *TARS])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6, 0.9])
def test_truncated_archives_are_named(tmp_path, kind, kept):
    files = {f"{i}.png": os.urandom(3000) for i in range(5)}
    source = pack(tmp_path / kind, files)
    content = source.read_bytes()
    if kind == "x.tar":  # zeros at its end are padding, which may be missing
        content = content.rstrip(b"\0")
    source.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(BenchError, match=f"{kind}: damaged"):
        read_all(source)


@pytest.mark.parametrize("kind", ["x.zip", "x.tar.gz", "x.tar.xz", "x.tar.bz2"])
def test_changed_bytes_are_found(tmp_path, kind):
    source = pack(tmp_path / kind, {"1.png": os.urandom(3000)})
    content = bytearray(source.read_bytes())
    content[len(content) // 2] ^= 1
    source.write_bytes(content)
    with pytest.raises(BenchError, match=f"{kind}: damaged"):
        read_all(source)


def test_zip_with_a_password(tmp_path):
    source = pack(tmp_path / "x.zip")
    content = bytearray(source.read_bytes())
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # sets the encryption bit everywhere
        at = content.find(mark)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(mark, at + 4)
    source.write_bytes(content)
    with pytest.raises(BenchError, match=r"x\.zip: cannot be read .*unpack it first"):
        read_all(source)


def test_what_is_no_source(tmp_path):
    (tmp_path / "x.rar").touch()
    with pytest.raises(BenchError, match="there is no such file"), archives.opened(tmp_path / "no"):
        pass
    with pytest.raises(BenchError, match="neither a folder nor an archive"):
        archives.opened(tmp_path / "x.rar").__enter__()


def test_file_that_vanishes_is_named(tmp_path):
    source = pack(tmp_path / "folder")
    with archives.opened(source) as tree:
        (source / "table.csv").unlink()
        with pytest.raises(BenchError, match=r"table\.csv: cannot be read"):
            list(tree.stream(["table.csv"]))


# Links and other things in folders ---------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    return pack(tmp_path / "folder", {"a/1.png": b"a1", "a/2.png": b"a2", "b/1.png": b"b1"})


NAMES = ["a/1.png", "a/2.png", "b/1.png"]


@pytest.mark.parametrize(
    ("link", "target"), [("loop", "."), ("a/up", ".."), ("b/here", "."), ("a/self", "self")]
)
def test_a_link_that_leads_back_is_not_followed(folder, link, target):
    (folder / link).symlink_to(target, target_is_directory=True)
    with archives.opened(folder) as tree:
        assert [name for name in tree.names if name != "a/self"] == NAMES


def test_links_between_two_folders_are_followed_once(folder):
    (folder / "a" / "to_b").symlink_to("../b")
    (folder / "b" / "to_a").symlink_to("../a")
    with archives.opened(folder) as tree:
        linked = ["a/to_b/1.png", "b/to_a/1.png", "b/to_a/2.png"]
        assert tree.names == NAMES + linked  # those behind links come last
        assert dict(tree.stream(["b/to_a/2.png"])) == {"b/to_a/2.png": b"a2"}


def test_links_that_branch_without_end_are_too_many_files(folder, monkeypatch):
    for level in range(30):
        (folder / f"{level}").mkdir()
        for name in "xy":
            (folder / f"{level}" / name).symlink_to(f"../{level + 1}", target_is_directory=True)
    monkeypatch.setattr(archives, "MOST_FILES", 1000)
    with pytest.raises(BenchError, match="more than 1,000 files"), archives.opened(folder):
        pass


def test_names_of_one_file_have_one_identity(folder):
    (folder / "a" / "link.png").symlink_to("1.png")
    (folder / "b" / "hard.png").hardlink_to(folder / "a" / "1.png")
    (folder / "c").symlink_to("a")
    with archives.opened(folder) as tree:
        same = ["a/1.png", "a/link.png", "b/hard.png", "c/1.png"]
        assert len({tree.identity(name) for name in same}) == 1
        assert len({tree.identity(name) for name in [*same, "b/1.png"]}) == 2


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (os.mkfifo, "it is a FIFO, not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a regular file"),
        (lambda path: path.symlink_to("nowhere"), "No such file"),
    ],
)
def test_what_is_no_file_is_named_at_once(folder, make, words):
    make(folder / "a" / "x.png")
    make(folder / "x.zip")
    with archives.opened(folder) as tree:
        assert "a/x.png" in tree.names
        for read in (
            tree.identity,
            lambda name: tree.file(name).__enter__(),
            lambda n: [*tree.stream([n])],
        ):
            with pytest.raises(BenchError, match=rf"a/x\.png: cannot be read: {words}"):
                read("a/x.png")
    words = words.replace("No such file", "there is no such file or folder")
    with (
        pytest.raises(BenchError, match=rf"x\.zip: {words}.*: check --source"),
        archives.opened(folder / "x.zip"),
    ):
        pass
