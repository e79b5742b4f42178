"""Tables that are no text: Excel sheets, Parquet files and JSON, as the lines of a CSV file.

Nothing in them is run: of an Excel sheet the stored values are taken, not its formulas.
"""

import datetime
import io
import json
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.base.errors import BenchError

MOST_CELLS = 2**27  # a row has the cells of all columns, also where they are empty
MOST_BYTES = 2**30  # of an Excel file unpacked, and of the lines
MOST_CHARACTERS = 2**16  # of a text in a Parquet file
MOST_ROWS, MOST_EXCEL_CELLS = 2**20, 2**24  # of an Excel sheet; so many rows are Excel's own limit
_ROWS_AT_ONCE = 1024  # of a Parquet file, in which a long text may stand for many
_INDEX = re.compile(r"__index_level_\d+__")  # what pandas adds


class Sheet(NamedTuple):
    """A table as lines.

    Attributes:
        lines: of CSV, with commas, the header first.
        notes: what a reader should know.
        unit: what a line is in the file.
        before: how many lines come before the file's first one.
    """

    lines: list[str]
    notes: list[str]
    unit: str
    before: int


def from_bytes(path: Path, content: bytes) -> Sheet | None:
    """Reads a file that begins as an Excel sheet or a Parquet file does; None if it is neither.

    Raises:
        BenchError: it is damaged or too large, or the library that reads it is not installed.
    """
    if content.startswith(b"PAR1"):
        return _parquet(path, content)
    if not content.startswith(b"PK\x03\x04"):
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = {info.filename: info.file_size for info in archive.infolist()}
    except Exception:  # zipfile raises nearly anything
        return None
    if "content.xml" in size and "mimetype" in size:
        raise BenchError(f"{path}: an OpenDocument sheet: save it as .xlsx or as CSV")
    if not any(name.startswith("xl/") for name in size):
        return None
    if sum(size.values()) > MOST_BYTES:
        raise BenchError(
            f"{path}: an Excel sheet of more than {MOST_BYTES:,} bytes: save it as CSV"
        )
    return _excel(path, content)


def from_json(path: Path, text: str) -> Sheet | None:
    """Reads a list of objects, or an object a line; None if the text does not begin as JSON.

    Raises:
        BenchError: it is damaged, or does not have an object of plain values for each row.
    """
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        found, lines = json.loads(text), False
    except (ValueError, RecursionError):
        found, lines = None, True
    wanted = "give an object with user_id, item_id and correct for each answer, or CSV"
    if isinstance(found, dict):
        if found and all(isinstance(value, list | dict) for value in found.values()):
            raise BenchError(f"{path}: JSON by columns: {wanted}")
        found, lines = [found], True
    kind, unit = ("JSON lines", "line") if lines else ("JSON", "object")
    rows = []
    for number, part in enumerate(text.split("\n") if found is None else found, 1):
        if found is None:
            if not part.strip():
                rows.append({})
                continue
            try:
                part = json.loads(part)
            except (ValueError, RecursionError) as error:
                raise BenchError(
                    f"{path}, line {number}: begins as JSON, and is damaged ({error}): {wanted}"
                ) from None
        where = f"{path}, {unit} {number}: {kind}"
        if not isinstance(part, dict):
            raise BenchError(f"{where}, but this is no object: {wanted}")
        for name, value in part.items():
            values = value if isinstance(value, list) else [value]
            if any(isinstance(v, list | dict) for v in values):
                raise BenchError(f"{where}, but {name[:40]!r} holds objects or lists: {wanted}")
        rows.append(part)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if not columns:
        raise BenchError(f"{path}: {kind} without any value: {wanted}")
    if len(columns) * len(rows) > MOST_CELLS:
        raise BenchError(f"{path}: {kind} whose objects have {len(columns):,} names: {wanted}")
    cells = ([row.get(name) for name in columns] if row else [] for row in rows)
    return Sheet(_lines([columns, *cells], f"{path}: {kind}"), [], unit, 1)


def _excel(path: Path, content: bytes) -> Sheet:
    try:
        import openpyxl
    except ImportError:
        raise _lacking(path, "an Excel sheet", "openpyxl") from None
    with warnings.catch_warnings():  # advice about styles and drawings
        warnings.simplefilter("ignore")
        try:
            rows, notes = _excel_rows(openpyxl, content)
        except BenchError as error:
            raise BenchError(f"{path}, {error}") from None
        except Exception as error:  # openpyxl raises nearly anything
            raise BenchError(
                f"{path}: a damaged Excel sheet ({type(error).__name__}): save it again, or as CSV"
            ) from None
    header = next((len(row) for row in rows if row), 0)
    if header * len(rows) > MOST_CELLS:
        raise BenchError(f"{path}: an Excel sheet of {len(rows):,} x {header:,} cells: use CSV")
    first = min((n for row in rows for n, v in enumerate(row) if v is not None), default=0)
    padded = (row[first:] + (None,) * (header - len(row)) if row else row for row in rows)
    return Sheet(_lines(padded, f"{path}: an Excel sheet"), notes, "row", 0)


def _excel_rows(openpyxl: Any, content: bytes) -> tuple[list[tuple], list[str]]:
    """The values of the first sheet, a row each without what is empty at its end, and notes.

    Raises:
        BenchError: it is too large, or a formula has no value.
    """
    rows, formulas = [], {}
    for with_values in (False, True):
        book = openpyxl.load_workbook(
            io.BytesIO(content), read_only=True, data_only=with_values, keep_links=False
        )
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # as a file claims them, they may be endless
        cells = 0
        for number, row in enumerate(sheet.iter_rows(), 1):
            cells += len(row)
            if cells > MOST_EXCEL_CELLS or number > MOST_ROWS:
                raise BenchError(f"row {number}: more rows or cells than can be read: use CSV")
            if not with_values:
                found = {(number, n): c.coordinate for n, c in enumerate(row) if c.data_type == "f"}
                formulas |= found
                continue
            for n, cell in enumerate(row):
                if cell.value is None and cell.data_type == "n" and (number, n) in formulas:
                    raise BenchError(
                        f"cell {formulas[number, n]}: a formula whose value is not stored: open "
                        "and save the file in Excel, or write the value"
                    )
            values = [None if _is_blank(cell.value) else cell.value for cell in row]
            while values and values[-1] is None:
                values.pop()
            rows.append(tuple(values))
        names = book.sheetnames
        book.close()
    while rows and not rows[-1]:
        rows.pop()
    notes = [f"read {names[0]}, the first of {len(names)} sheets"] if len(names) > 1 else []
    return rows, notes


def _is_blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()


def _parquet(path: Path, content: bytes) -> Sheet:
    try:
        import pyarrow.parquet
    except ImportError:
        raise _lacking(path, "a Parquet file", "pyarrow") from None
    try:
        rows = _parquet_rows(pyarrow, content, f"{path}: a Parquet file")
        return Sheet(_lines(rows, f"{path}: a Parquet file"), [], "row", 1)
    except BenchError:
        raise
    except Exception as error:  # pyarrow raises nearly anything
        raise BenchError(
            f"{path}: a damaged Parquet file ({type(error).__name__}): write it again, or as CSV"
        ) from None


def _parquet_rows(pyarrow: Any, content: bytes, what: str) -> Iterator[Sequence]:
    """The header and the rows.

    Raises:
        BenchError: there are lists in it, or it is too large. A few bytes can stand for a long text
            in many rows: each different text is looked at before it is copied into its rows.
    """
    schema = pyarrow.parquet.read_schema(io.BytesIO(content))
    fields = [field for field in schema if not _INDEX.fullmatch(field.name)]
    for field in fields:
        if pyarrow.types.is_nested(field.type):
            raise BenchError(f"{what} whose column {field.name} holds lists: give a row an answer")
    names = [field.name for field in fields]
    file = pyarrow.parquet.ParquetFile(io.BytesIO(content), read_dictionary=names)
    if len(names) * file.metadata.num_rows > MOST_CELLS:
        raise BenchError(f"{what} of more than {MOST_CELLS:,} cells: split it")
    yield names
    for batch in file.iter_batches(_ROWS_AT_ONCE, columns=names):
        for column in batch.columns:
            if pyarrow.types.is_dictionary(column.type):
                longest = max((len(str(v)) for v in column.dictionary.to_pylist()), default=0)
                if longest > MOST_CHARACTERS:
                    raise BenchError(f"{what} with a text of {longest:,} characters: shorten it")
        yield from zip(*(column.to_pylist() for column in batch.columns))


def _lines(rows: Iterable[Sequence], what: str) -> list[str]:
    """Rows of values as lines of CSV.

    Raises:
        BenchError: they are too large.
    """
    lines, size = [], 0
    for row in rows:
        lines.append(",".join(map(_quoted, row)))
        size += len(lines[-1])
        if size > MOST_BYTES:
            raise BenchError(f"{what} of more than {MOST_BYTES:,} characters: split it by student")
    return lines


def _quoted(value: Any) -> str:
    cell = _cell(value)
    if re.search('[",]|^\\s|\\s$', cell):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _cell(value: Any) -> str:
    """A value as it would stand in a CSV file, on one line."""
    if value is None:
        return ""
    if isinstance(value, list):
        parts = [_cell(part) for part in value]
        return "~~".join(parts) if any("," in p for p in parts) else f"[{', '.join(parts)}]"
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return re.sub(r"\s*[\r\n]\s*", " ", str(value))


def _lacking(path: Path, what: str, library: str) -> BenchError:
    return BenchError(
        f"{path}: {what}, which {library} reads: pip install 'maml-bench[tables]', or use CSV"
    )
