"""The text of a file, plain or gzipped, whoever wrote it."""

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.base.errors import BenchError

MOST_BYTES = 4 * 2**30  # unpacked; the largest public data sets of answers stay below
_CHUNK = 2**24
_CONTROL = bytes(c for c in range(32) if c not in b"\t\n\r\f") + b"\x7f"
_OTHER_FORMATS = {
    b"PK\x03\x04": "a zip, an Excel sheet or an .npz: unpack it, or export it as CSV",
    b"\xfd7zXZ": "xz-compressed: unpack it first",
    b"BZh": "bzip2-compressed: unpack it first",
    b"\xff\xfe": "UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
}


@dataclass(frozen=True)
class Text:
    """What a file says.

    Attributes:
        path: of the file.
        lines: without their ends and the blanks before; line 1 is ``lines[0]``.
        notes: what was mended in reading it.
    """

    path: Path
    lines: list[str]
    notes: list[str]

    def filled(self) -> Iterator[tuple[int, str]]:
        """Line number and text of each line that holds more than blanks and commas."""
        return ((n, line) for n, line in enumerate(self.lines, 1) if line.strip(" \t,;"))

    def wrong(self, line: int, what: str) -> BenchError:
        """The error to raise about a line."""
        return BenchError(f"{self.path}, line {line}: {what}")


def load(path: str | Path) -> Text:
    """Reads a file that holds text, UTF-8 or Latin-1, plain or gzipped, told by its content.

    Args:
        path: of the file.

    Raises:
        BenchError: the file is missing, a folder, unreadable, damaged, too large, empty, or holds
            no text.
    """
    path = Path(path).expanduser()
    content = _content(path)
    for magic, what in _OTHER_FORMATS.items():
        if content.startswith(magic):
            raise BenchError(f"{path}: {what}")
    if len(content) != len(content.translate(None, _CONTROL)):
        at = re.search(b"[" + re.escape(_CONTROL) + b"]", content).start()
        line = content.count(b"\n", 0, at) + 1
        raise BenchError(
            f"{path}, line {line}: holds the byte {content[at]:#04x}, so it is not a text file, "
            "or damaged: export the answers as CSV"
        )
    notes = []
    try:
        text = content.decode("utf-8-sig")  # without the mark that Windows puts before it
    except UnicodeDecodeError:
        text = content.decode("latin-1")
        notes.append("not UTF-8: read as Latin-1")
    if not text.strip(" \t\r\n\f,;"):
        raise BenchError(f"{path}: is empty: give a file of answers")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return Text(path, [line.rstrip(" ") for line in text.split("\n")], notes)


def shown(token: str) -> str:
    """A token of a file as a message shows it: quoted, on one line, not too long."""
    return repr(token if len(token) <= 40 else token[:37] + "...")


def _content(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise BenchError(f"{path}: a folder: name the files in it")
        if not path.exists():
            raise BenchError(f"{path}: there is no such file: check the path")
        if not path.is_file():
            raise BenchError(f"{path}: not an ordinary file: copy it to one")
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            chunks, size = [], 0
            while chunk := file.read(_CHUNK):
                chunks.append(chunk)
                size += len(chunk)
                if size > MOST_BYTES:
                    raise BenchError(
                        f"{path}: more than {MOST_BYTES:,} bytes"
                        f"{' unpacked' if zipped else ''}: split it by student"
                    )
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BenchError(f"{path}: damaged gzip ({error}): get the file again") from error
    except (OSError, ValueError) as error:  # ValueError: a name no file can have
        raise BenchError(f"{path}: cannot be read ({error}): check the path") from error
    return b"".join(chunks)
