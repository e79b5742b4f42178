"""The text of a file, plain or gzipped, whoever wrote it."""

import gzip
import re
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.base.errors import BenchError
from bench.data.students.responses import sheets

MOST_BYTES = 4 * 2**30  # unpacked; the largest public data sets of answers stay below
_CHUNK = 2**24
_CONTROL = bytes(c for c in range(32) if c not in b"\t\n\r\f") + b"\x7f"
_WINDOWS_ONLY = bytes(range(0x80, 0xA0))  # signs in Windows-1252, control characters in Latin-1
_OTHER_FORMATS = {
    b"PK\x03\x04": "a zip, an Excel sheet or an .npz: unpack it, or export it as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel sheet of before 2007 (.xls): save it as .xlsx or as CSV",
    b"\xfd7zXZ": "xz-compressed: unpack it first",
    b"BZh": "bzip2-compressed: unpack it first",
    b"\xff\xfe": "UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
    b"$FL2": "an SPSS file: export it as CSV",
    b"SQLite format 3": "a database of SQLite: export the table as CSV",
}
# The first line by which Excel tells the delimiter
_EXCEL_DELIMITER = re.compile(r'"?sep=([^\w\s"]|\t)"?[,;\t ]*', re.IGNORECASE)


@dataclass(frozen=True)
class Text:
    """What a file says.

    Attributes:
        path: of the file.
        lines: without their ends and the blanks behind; line 1 is ``lines[0]``.
        notes: what was mended in reading it.
        delimiter: between the fields of a line; None: to be guessed.
        unit: what a line is in the file, for messages.
        before: how many lines come before the file's first one.
    """

    path: Path
    lines: list[str]
    notes: list[str]
    delimiter: str | None = None
    unit: str = "line"
    before: int = 0

    def filled(self) -> Iterator[tuple[int, str]]:
        """Line number and text of each line that holds more than blanks and commas."""
        return ((n, line) for n, line in enumerate(self.lines, 1) if line.strip(" \t,;"))

    def wrong(self, line: int, what: str) -> BenchError:
        """The error to raise about a line."""
        return BenchError(f"{self.path}, {self.unit} {line - self.before}: {what}")


def load(path: str | Path) -> Text:
    """Reads a file that holds a table, plain or gzipped, told by its content.

    Text may be UTF-8 or Windows-1252 (Latin-1 among it). Excel sheets, Parquet and JSON become the
    lines of a CSV file, see :mod:`bench.data.students.responses.sheets`. Letters with marks are
    composed (Unicode's NFC), so that a name is one whichever system wrote it.

    Args:
        path: of the file.

    Raises:
        BenchError: the file is missing, a folder, unreadable, damaged, too large, empty, or holds
            no table.
    """
    path = Path(path).expanduser()
    content = _content(path)
    if (sheet := sheets.from_bytes(path, content)) is not None:
        return _text_of(path, sheet)
    for magic, what in _OTHER_FORMATS.items():
        if content.startswith(magic):
            raise BenchError(f"{path}: {what}")
    if len(content) != len(content.translate(None, _CONTROL)):
        at = re.search(b"[" + re.escape(_CONTROL) + b"]", content).start()
        raise BenchError(
            f"{path}, line {_line(content, at)}: holds the byte {content[at]:#04x}, so it is not a "
            "text file, or damaged: export the answers as CSV"
        )
    text, notes = _decode(path, content)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if (sheet := sheets.from_json(path, text)) is not None:
        return _text_of(path, sheet)
    lines = [line.rstrip(" ") for line in text.split("\n")]
    told = _EXCEL_DELIMITER.fullmatch(lines[0])
    if told:
        lines[0] = ""
    found = Text(path, lines, notes, told[1] if told else None)
    if next(found.filled(), None) is None:
        raise _empty(path)
    return found


def shown(token: str) -> str:
    """A token of a file as a message shows it: quoted, on one line, not too long."""
    return repr(token if len(token) <= 40 else token[:37] + "...")


def _text_of(path: Path, sheet: sheets.Sheet) -> Text:
    lines = [unicodedata.normalize("NFC", line) for line in sheet.lines]
    found = Text(path, lines, sheet.notes, ",", sheet.unit, sheet.before)
    if next(found.filled(), None) is None:
        raise _empty(path)
    return found


def _empty(path: Path) -> BenchError:
    return BenchError(f"{path}: is empty: give a file of answers")


def _line(content: bytes, at: int) -> int:
    return content.count(b"\n", 0, at) + 1


def _decode(path: Path, content: bytes) -> tuple[str, list[str]]:
    """The text, and a note where it is not UTF-8.

    Raises:
        BenchError: it is UTF-8 but for a few bytes, or neither UTF-8 nor Windows-1252: names would
            come out wrong, whatever it is read as.
    """
    try:
        return content.decode("utf-8-sig"), []  # without the mark that Windows puts before it
    except UnicodeDecodeError as error:
        at = error.start
    odd = [ord(sign) for sign in content.decode("utf-8", "surrogateescape") if sign > "\x7f"]
    bad = sum(0xDC80 <= sign <= 0xDCFF for sign in odd)
    if len(odd) - bad > bad:
        raise BenchError(
            f"{path}, line {_line(content, at)}: holds the byte {content[at]:#04x}, which is not "
            "UTF-8 as the rest is: save it as UTF-8"
        )
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError as error:
        raise BenchError(
            f"{path}, line {_line(content, error.start)}: holds the byte "
            f"{content[error.start]:#04x}, which is neither UTF-8 nor Windows-1252: save it as "
            "UTF-8"
        ) from None
    windows = len(content) != len(content.translate(None, _WINDOWS_ONLY))
    return text, [f"not UTF-8: read as {'Windows-1252' if windows else 'Latin-1'}"]


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
