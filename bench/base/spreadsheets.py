"""CSV that spreadsheets open: text is shown, and nothing in it is run."""

import pandas as pd

RUNS = ("=", "+", "-", "@", "\t", "\n")  # a cell that begins so may be taken for a formula


def to_csv(table: pd.DataFrame, **options) -> str:
    """A table as CSV, without its index; numbers stay as they are.

    A cell of text that a spreadsheet would run gets an apostrophe before it, which spreadsheets
    take as the mark of text. Line ends within a cell become line feeds: a bare
    carriage return is not quoted, and begins a new cell.

    Args:
        table: what to write.
        options: of :meth:`pandas.DataFrame.to_csv`.

    >>> print(to_csv(pd.DataFrame({"name": ["Ann", "=1+1"], "gain": [-1.5, -2.0]})), end="")
    name,gain
    Ann,-1.5
    '=1+1,-2.0
    """
    table = table.rename(columns=_harmless)
    for name in table.select_dtypes(["object", "string"]):
        cells = list(map(_harmless, table[name]))
        table[name] = pd.Series(cells, table.index, object)  # whose numbers keep their types
    return table.to_csv(index=False, lineterminator="\n", **options)


def as_written(cell: str) -> str:
    """The text of which :func:`to_csv` has made a cell, line ends aside.

    >>> as_written("'=1+1"), as_written("'tis")
    ('=1+1', "'tis")
    """
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(RUNS) else cell


def _harmless(cell):
    if not isinstance(cell, str):
        return cell
    cell = cell.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{cell}" if cell.startswith(RUNS) else cell
