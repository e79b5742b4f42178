"""Tables that are no text: Excel sheets, Parquet files and JSON, as the lines of a CSV file.

Nothing in them is run: of an Excel sheet the stored values are taken, not its formulas.
"""

import csv
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
MOST_BYTES = 2**30  # of an Excel file, unpacked
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
    if isinstance(found, dict):  # one line, or a list for each column
        columns = all(isinstance(value, list | dict) for value in found.values())
        found, lines = [[]] if columns else [found], not columns
    kind, unit = ("JSON lines", "line") if lines else ("JSON", "object")
    wanted = "give an object with user_id, item_id and correct for each answer, or CSV"
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
    return Sheet(_lines([columns, *cells]), [], unit, 1)


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
    width = max(map(len, rows), default=0)
    if width * len(rows) > MOST_CELLS:
        raise BenchError(
            f"{path}: an Excel sheet of {len(rows):,} x {width:,} cells: save it as CSV"
        )
    first = min((n for row in rows for n, v in enumerate(row) if v is not None), default=0)
    header = next((len(row) for row in rows if row), 0)
    padded = (row[first:] + (None,) * (header - len(row)) if row else row for row in rows)
    return Sheet(_lines(padded), notes, "row", 0)


def _excel_rows(openpyxl: Any, content: bytes) -> tuple[list[tuple], list[str]]:
    """The values of the first sheet, a row each without what is empty at its end, and notes."""
    rows, formulas = [], []
    for with_values in (False, True):
        book = openpyxl.load_workbook(
            io.BytesIO(content), read_only=True, data_only=with_values, keep_links=False
        )
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # as a file claims them, they may be endless
        cells = 0
        for number, row in enumerate(sheet.iter_rows(), 1):
            row = [
                (c.value, c.data_type, c.coordinate) if c.value is not None else None for c in row
            ]
            while row and row[-1] is None:
                row.pop()
            cells += len(row)
            if cells > MOST_CELLS:
                raise BenchError(f"row {number}: more than {MOST_CELLS:,} cells: save it as CSV")
            if with_values:
                rows.append(tuple(cell and cell[0] for cell in row))
            else:
                formulas += [(number, n, c[2]) for n, c in enumerate(row) if c and c[1] == "f"]
        names = book.sheetnames
        book.close()
    for number, n, name in formulas:
        if n >= len(rows[number - 1]) or rows[number - 1][n] is None:
            raise BenchError(
                f"cell {name}: a formula whose value is not stored: open and save the file in "
                "Excel, or write the value"
            )
    while rows and not rows[-1]:
        rows.pop()
    notes = [f"read {names[0]}, the first of {len(names)} sheets"] if len(names) > 1 else []
    return rows, notes


def _parquet(path: Path, content: bytes) -> Sheet:
    try:
        import pyarrow.parquet
    except ImportError:
        raise _lacking(path, "a Parquet file", "pyarrow") from None
    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(content))
        columns = [name for name in file.schema_arrow.names if not _INDEX.fullmatch(name)]
        too_large = len(columns) * file.metadata.num_rows > MOST_CELLS
        lines = [] if too_large else _lines(_parquet_rows(file, columns))
    except Exception as error:  # pyarrow raises nearly anything
        raise BenchError(
            f"{path}: a damaged Parquet file ({type(error).__name__}): write it again, or as CSV"
        ) from None
    if too_large:
        raise BenchError(f"{path}: a Parquet file of more than {MOST_CELLS:,} cells: split it")
    return Sheet(lines, [], "row", 1)


def _parquet_rows(file: Any, columns: list[str]) -> Iterator[Sequence]:
    yield columns
    for batch in file.iter_batches(_ROWS_AT_ONCE, columns=columns):
        yield from zip(*(column.to_pylist() for column in batch.columns))


def _lines(rows: Iterable[Sequence]) -> list[str]:
    """Rows of values as lines of CSV."""
    file = io.StringIO()
    writer, lines = csv.writer(file, lineterminator=""), []
    for row in rows:
        if row:
            writer.writerow([_cell(value) for value in row])
        lines.append(file.getvalue())
        file.seek(0)
        file.truncate()
    return lines


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
