"""Reads the files of a folder, a zip or a tar as one thing, without unpacking anything to disk."""

import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from bench.base import regular_files
from bench.base.errors import BenchError

ZIP_SUFFIXES = (".zip", ".npz")  # NumPy's is a zip of its arrays
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
SUFFIXES = ZIP_SUFFIXES + TAR_SUFFIXES
MOST_FILES = 2_000_000  # ILSVRC-2012 has 1,281,167 images for training
MOST_BYTES = 32 * 2**30  # unpacked; the largest of the usual data sets, as PNGs, stays below half
MOST_BYTES_OF_A_FILE = 2 * 2**30  # of one that is read into memory whole
MOST_BYTES_OF_A_NAME = 2**20  # in a tar, with whatever else stands before a file
MOST_BYTES_OF_LONG_NAMES = 2**26  # in a tar, together
_USUAL_HEADERS = 2048  # bytes before a file's content: up to three blocks, and a name of one
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError)
_DAMAGE += (ValueError, LookupError, OverflowError, struct.error)  # what zipfile does not foresee
_UNREADABLE = (NotImplementedError, RuntimeError)  # a zip's unknown compression, or a password


class Tree(NamedTuple):
    """The files of a folder or an archive.

    Attributes:
        where: the folder or archive.
        names: paths inside it, with ``/``; hidden files and what macOS adds are left out.
        stream: takes some of the names and gives (name, content) of each, in the order in which
            they are stored, which need not be the order asked for: one pass over the archive.
        file: takes one of the names and gives the file, to read piece by piece in a ``with``: for
            files that are too large for ``stream``.
        identity: takes one of the names and gives what is the same for all names of one file, which
            has several where there are links.
    """

    where: Path
    names: list[str]
    stream: Callable[[Iterable[str]], Iterator[tuple[str, bytes]]]
    file: Callable[[str], AbstractContextManager[BinaryIO]]
    identity: Callable[[str], Hashable] = str


@contextmanager
def opened(source: Path, content: bytes | None = None) -> Iterator[Tree]:
    """Opens a folder, a zip or a tar (plain or compressed).

    Args:
        source: the folder or archive.
        content: of an archive that lies inside another one.

    Raises:
        BenchError: names the source, if it is missing, damaged, unsafe or none of these; also
            later, from ``stream``.
    """
    source = Path(source).expanduser()
    file = source if content is None else io.BytesIO(content)
    if source.is_dir():
        yield _folder(source)
        return
    if content is None:
        try:
            regular_files.check(source)
        except OSError as error:
            absent = isinstance(error, FileNotFoundError)
            what = "there is no such file or folder" if absent else error.strerror
            raise BenchError(f"{source}: {what}: check --source") from error
    if source.name.lower().endswith(ZIP_SUFFIXES):
        with _damage_named(source):
            archive = zipfile.ZipFile(file)
        with archive:
            yield _zip(source, archive)
    elif source.name.lower().endswith(TAR_SUFFIXES):
        with _damage_named(source):
            where = {"name" if content is None else "fileobj": file}
            archive = tarfile.open(**where, tarinfo=_ShortNamed)  # noqa: SIM115
        with archive:
            yield _tar(source, archive)
    else:
        raise BenchError(f"{source}: neither a folder nor an archive ({', '.join(SUFFIXES)})")


@contextmanager
def _damage_named(source: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise BenchError(f"{source}: may not be read: {error.strerror}") from error
    except _DAMAGE as error:
        reason = " ".join(str(error).split())  # tarfile's has a line for each kind of compression
        raise BenchError(f"{source}: damaged ({reason}): get it again") from error
    except _UNREADABLE as error:
        raise BenchError(f"{source}: cannot be read ({error}): unpack it first") from error


def _folder(source: Path) -> Tree:
    @contextmanager
    def file(name: str) -> Iterator[BinaryIO]:
        with _refusal_named(source / name), regular_files.open_to_read(source / name) as content:
            yield content

    def stream(wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        for name in wanted:
            with _refusal_named(source / name):
                _check_size_of(source, name, regular_files.check(source / name).st_size)
                whole = regular_files.read_bytes(source / name, MOST_BYTES_OF_A_FILE)
            yield name, whole

    def identity(name: str) -> Hashable:
        with _refusal_named(source / name):
            found = regular_files.check(source / name)
        return _inode(source / name, found)

    return Tree(source, _names_in(source), stream, file, identity)


def _names_in(source: Path) -> list[str]:
    """The files below a folder, those that are reached through links after the others.

    A link that leads back to a folder that it lies in is not followed.
    """
    direct, linked, count = [], [], 0
    to_visit = [(source, frozenset(), False)]
    while to_visit:
        folder, above, through_link = to_visit.pop()
        with _refusal_named(folder):
            inode = _inode(folder, folder.stat())
            if inode in above:
                continue
            with os.scandir(folder) as scanned:
                entries = sorted((e for e in scanned if not _hidden(e.name)), key=lambda e: e.name)
        inner = []
        for entry in entries:
            path, is_linked = folder / entry.name, through_link or entry.is_symlink()
            if _is_folder(entry):
                inner.append((path, above | {inode}, is_linked))
            else:
                (linked if is_linked else direct).append(path.relative_to(source).as_posix())
        to_visit += reversed(inner)
        count += len(entries)
        _check_size(source, count)
    return direct + linked


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _inode(path: Path, found: os.stat_result) -> Hashable:
    """What is the same for all names of a file or folder; some file systems do not tell."""
    return (found.st_dev, found.st_ino) if found.st_ino else path


@contextmanager
def _refusal_named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BenchError(f"{path}: cannot be read: {error.strerror}") from error


def _zip(source: Path, archive: zipfile.ZipFile) -> Tree:
    members = archive.infolist()
    size = sum(m.file_size for m in members)
    _check_size(source, len(members), size)
    for member in members:
        if stat.S_ISLNK(member.external_attr >> 16):
            raise BenchError(f"{source}: holds a link, {member.filename!r}: unpack it first")
    with _damage_named(source):  # a name may be empty
        files = _by_name(source, ((m.filename, m) for m in members if not m.is_dir()))

    return _archive(
        source, files, archive.open, size=attrgetter("file_size"), place=attrgetter("header_offset")
    )


class _ShortNamed(tarfile.TarInfo):
    """A header that is refused before tarfile reads a name of any length into memory."""

    _LONG = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE)
    _LONG += (tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
        """The header that a block holds."""
        info = super().frombuf(buf, encoding, errors)
        if info.type in cls._LONG and info.size > MOST_BYTES_OF_A_NAME:
            raise tarfile.ReadError(f"a name of {info.size:,} bytes")
        return info


def _tar(source: Path, archive: tarfile.TarFile) -> Tree:
    members, size, long = [], 0, 0
    with _damage_named(source):
        for member in archive:
            size += member.size
            _check_size(source, len(members), size)
            long += max(member.offset_data - member.offset - _USUAL_HEADERS, 0)
            if long > MOST_BYTES_OF_LONG_NAMES:
                raise tarfile.ReadError(f"names of {long:,} bytes")
            if not (member.isfile() or member.isdir()):
                raise BenchError(
                    f"{source}: holds a link or a device, {member.name!r}: unpack it first"
                )
            members.append(member)
        # tarfile takes a broken header for the end; the true end is a block of zeros. A compressed
        # file's checksum comes after that, and is checked when all is read.
        archive.fileobj.seek(archive.offset)
        if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("it ends too early")
        while rest := archive.fileobj.read(2**20):
            size += len(rest)
            _check_size(source, len(members), size)
    files = _by_name(source, ((m.name, m) for m in members if m.isfile()))

    return _archive(
        source, files, archive.extractfile, size=attrgetter("size"), place=attrgetter("offset")
    )


def _archive(
    source: Path,
    files: dict[str, Any],
    opens: Callable[[Any], BinaryIO],
    size: Callable[[Any], int],
    place: Callable[[Any], int],
) -> Tree:
    """The files of an archive, from what it says of each: its size, and where it is stored."""

    @contextmanager
    def file(name: str) -> Iterator[BinaryIO]:
        with _damage_named(source), opens(files[name]) as content:
            yield content

    def stream(wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        for name in sorted(wanted, key=lambda name: place(files[name])):
            _check_size_of(source, name, size(files[name]))
            with file(name) as content:
                whole = content.read()  # of a zip, checks the CRC
            yield name, whole

    return Tree(source, list(files), stream, file)


def _by_name(source: Path, members: Iterable[tuple[str, object]]) -> dict:
    files = {}
    for name, member in members:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or (path.parts[:1] and ":" in path.parts[0]):
            raise BenchError(f"{source}: {name!r} points out of the archive: do not trust it")
        if not any(map(_hidden, path.parts)):
            files[path.as_posix()] = member
    return files


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _check_size(source: Path, files: int, size: int = 0) -> None:
    if files > MOST_FILES or size > MOST_BYTES:
        raise BenchError(
            f"{source}: more than {MOST_FILES:,} files, or {MOST_BYTES >> 30} GiB unpacked: not "
            "the data set, or not it alone"
        )


def _check_size_of(source: Path, name: str, size: int) -> None:
    if size > MOST_BYTES_OF_A_FILE:
        raise BenchError(
            f"{source}: {name} has more than {MOST_BYTES_OF_A_FILE >> 30} GiB: not the data set"
        )
