"""Where things lie: the facts about data that travel with the package, and the data cache."""

import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import platformdirs

import bench
from bench.base.errors import BenchError


def facts(dataset: str) -> Path:
    """The folder with a data set's card, splits and checksums.

    In an installed wheel it lies inside the package, in a clone in ``datasets/`` beside it.
    """
    package = Path(bench.__file__).parent
    for folder in (package / "facts", package.parent / "datasets"):
        if (folder / dataset).is_dir():
            return folder / dataset
    raise BenchError(f"no facts about {dataset!r} in {package / 'facts'}: reinstall maml-bench")


def tuned_values(suite: str) -> Path:
    """The file of what tuning has found for a suite of the project, whether it is there or not.

    In an installed wheel it lies inside the package, in a clone in ``results/`` beside it.
    """
    package = Path(bench.__file__).parent
    folders = package / "tuning", package.parent / "results" / "tuning"
    return next((f for f in folders if f.is_dir()), folders[0]) / f"{suite}.json"


def data_root(given: str | os.PathLike | None = None) -> Path:
    """The folder of prepared data: given, or $MAML_BENCH_DATA, or the user's cache."""
    return Path(
        given or os.environ.get("MAML_BENCH_DATA") or platformdirs.user_cache_dir("maml-bench")
    ).expanduser()


def writable(folder: Path) -> Path:
    """Makes sure that files can be written to a folder, which is made when one is.

    Raises:
        BenchError: if they cannot.
    """
    try:
        with tempfile.TemporaryFile(dir=existing(folder)):
            pass
    except OSError as error:
        raise BenchError(
            f"cannot write to {folder} ({error.strerror}): choose another folder with --out"
        ) from error
    return folder


def existing(path: Path) -> Path:
    """The path itself or, if it is not there yet, the folder that it would be made in.

    Raises:
        OSError: if it cannot be looked for.
    """
    path = path.absolute()
    return next(p for p in (path, *path.parents) if p.exists())


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of ``path`` when it is whole, and not before.

    It has the permissions of the file whose place it takes. A symbolic link is replaced, not
    followed.

    Raises:
        OSError: if the folder cannot be written to; what was there is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")
    try:
        with temporary.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            before = path.lstat().st_mode
            if stat.S_ISREG(before):
                temporary.chmod(stat.S_IMODE(before))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def explain_refusal(path: Path, remedy: str) -> Iterator[None]:
    """Says what cannot be written, where the operating system refuses it within this context.

    Args:
        path: the file or folder.
        remedy: what the user can do.

    Raises:
        BenchError: names all three.
    """
    try:
        yield
    except OSError as error:
        raise BenchError(
            f"{path}: cannot be written ({error.strerror or error}): {remedy}"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Writes a text file through a temporary name in the same folder, so never half of it.

    Raises:
        BenchError: if the folder cannot be written to.
    """
    with explain_refusal(path, "choose another folder"), replacing(Path(path)) as file:
        file.write(text.encode())


def is_file_name(text: Any) -> bool:
    """Whether it is a word of letters, digits and ``. _ -`` that does not begin with a dot."""
    return isinstance(text, str) and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", text) is not None
