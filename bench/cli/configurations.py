"""Reads configuration files, which are data from elsewhere: of bounded size, in UTF-8, from here.

jsonargparse reads a file wherever a value may name one, and hands its text to a loader: both are
done here while a command line is parsed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from jsonargparse import Path, get_loader, set_loader, set_parsing_settings

from bench.base import regular_files
from bench.base.errors import BenchError

MOST_BYTES = 2**24
MOST_VALUES = 100_000  # with anchors written out
MOST_DEPTH = 100  # lists in lists
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
        _check(text, where)
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


def _check(text: str, where: str) -> None:
    """Refuses anchors that unfold without end, which the loader would only share.

    Raises:
        BenchError: names the file.
        yaml.YAMLError: if it is no YAML.
    """
    size_of: dict[str, int] = {}  # values that an anchor stands for
    sizes, anchors = [0], []  # of the lists and dicts that the present value lies in
    for event in yaml.parse(text, Loader=_PARSER):
        if isinstance(event, yaml.CollectionStartEvent):
            sizes.append(1)
            anchors.append(event.anchor)
            if len(sizes) > MOST_DEPTH:
                raise BenchError(f"{where}: lists within more than {MOST_DEPTH} others")
            continue
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in anchors:
                raise BenchError(f"{where}: &{event.anchor} refers to itself: write it out")
            size = size_of.get(event.anchor, 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            size = size_of[anchors.pop()] = sizes.pop()
        elif isinstance(event, yaml.ScalarEvent):
            size = size_of[event.anchor] = 1
        else:
            continue
        sizes[-1] += size
        if sizes[-1] > MOST_VALUES:
            raise BenchError(
                f"{where}: more than {MOST_VALUES:,} values, with what its anchors stand for "
                "written out"
            )
