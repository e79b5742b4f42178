"""Reads configuration files, which are data from elsewhere: of bounded size, in UTF-8, from here.

jsonargparse reads a file wherever a value may name one, and hands its text to a loader: both are
done here while a command line is parsed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from jsonargparse import Path, get_loader, set_loader, set_parsing_settings

from bench.base import bounded_yaml, regular_files
from bench.base.errors import BenchError

MOST_BYTES = 2**24


@contextmanager
def checked() -> Iterator[None]:
    """Within this context a configuration is checked before it is believed.

    Raises:
        BenchError: names the file that is not in UTF-8, too large, no regular file or not on this
            machine, or whose values cannot be read.
    """
    names: dict[str, str] = {}  # of files, by their text
    load, read_text = get_loader("yaml"), Path.read_text

    def checked_read(path: Path) -> str:
        if str(path) == "-":  # standard input
            return read_text(path)
        text = _read(path)
        names[text] = str(path)
        return text

    def checked_load(text: str) -> Any:
        where = names.get(text, "a value on the command line")
        bounded_yaml.check(text, where)
        try:
            return load(text)
        except (ValueError, TypeError, AttributeError) as error:  # such as of 5,000 digits
            reason = str(error).split(";")[0]
            raise BenchError(f"{where}: a value that cannot be read ({reason})") from error

    set_loader("yaml", checked_load, (yaml.YAMLError,))
    set_parsing_settings(config_read_mode_fsspec_enabled=False)  # which Lightning allows
    Path.read_text = checked_read
    try:
        yield
    finally:
        Path.read_text = read_text
        set_parsing_settings(config_read_mode_fsspec_enabled=True)
        set_loader("yaml", load, (yaml.YAMLError,))


def _read(path: Path) -> str:
    try:
        return regular_files.read_text(path.absolute, MOST_BYTES)
    except OSError as error:
        raise BenchError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BenchError(f"{path}: not in UTF-8 (byte {error.start:,}): save it so") from error
