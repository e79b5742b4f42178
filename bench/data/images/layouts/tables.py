"""The rows of tables that list the images of a split."""

import csv
import io
from collections.abc import Iterator

from bench.base.errors import BenchError


def rows(content: bytes, columns: tuple[str, str], where: str) -> Iterator[tuple[int, str, str]]:
    """The rows of a table: line, file name and class.

    Args:
        content: the CSV file.
        columns: the names of the columns of the file name and of the class.
        where: the file, for messages.

    Raises:
        BenchError: names table and line, if a column or a value is missing.
    """
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig", "replace")))
    file, label = columns
    try:
        there = reader.fieldnames or ["(none)"]
        if not {file, label} <= set(there):
            raise BenchError(f"{where} has the columns {', '.join(there)}, not {file}, {label}")
        for row in reader:
            if not row[file] or not row[label]:
                raise BenchError(f"{where}, line {reader.line_num}: {file} or {label} is empty")
            yield reader.line_num, row[file], row[label]
    except csv.Error as error:
        raise BenchError(f"{where}, line {reader.line_num}: {error}") from error
