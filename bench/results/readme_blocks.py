"""Tables inside a page of prose: ``<!-- table: NAME -->`` to ``<!-- /table -->``."""

from pathlib import Path

from bench.base import regular_files
from bench.base.errors import BenchError
from bench.base.paths import write_text

END = "<!-- /table -->"


def check(path: Path, name: str) -> None:
    """Looks whether a table can go in, before it takes an hour to make.

    Raises:
        BenchError: unless the file is UTF-8 and has that pair of marks once.
    """
    _around(path, name)


def refresh(path: Path, name: str, markdown: str) -> None:
    """Replaces what stands between the marks.

    All else stays as it is: line ends, permissions, and where ``path`` is a link, the link.

    Raises:
        BenchError: unless the file is UTF-8 and has that pair of marks once.
    """
    before, inside, after = _around(path, name)
    block = f"\n{markdown.strip()}\n"
    if inside.startswith("\r\n"):
        block = block.replace("\n", "\r\n")
    write_text(Path(path).resolve(), f"{before}{block}{after}")


def _around(path: Path, name: str) -> tuple[str, str, str]:
    """The page up to the first mark, between the marks, and from the second on."""
    start = f"<!-- table: {name} -->"
    try:
        text = regular_files.read_text(path)
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BenchError(f"{path}: is not in UTF-8 ({error}): save it as UTF-8") from None
    before, *after = text.split(start)
    if len(after) != 1 or END not in after[0]:
        raise BenchError(
            f"{path} must hold the lines {start} and {END} once for the table to go in"
        )
    inside, rest = after[0].split(END, 1)
    return before + start, inside, END + rest
