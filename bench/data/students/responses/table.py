"""What the readers share: the rows of a table, names and their numbers, answers."""

import csv
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter

import numpy as np

from bench.base import spreadsheets
from bench.base.errors import BenchError
from bench.data.students.responses.text import Text, shown

# As programs write that there is nothing; of answers, whatever the capitals. A pupil may be called
# Nan or Null, and an item of chemistry Na.
MISSING = frozenset(["", "NA", "na", "N/A", "n/a", "nan", "NaN", "NAN", "NULL", "null"])
MISSING |= {"None", "none", "NONE"}
_MARKS = {"true": 1.0, "false": 0.0} | dict.fromkeys(map(str.lower, MISSING), math.nan)
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
_WHOLE_AS_FLOAT = re.compile(r"-?\d+\.0", re.ASCII)
_NEGATIVE = re.compile(r"-\d+(\.\d+)?", re.ASCII)
_BETWEEN_SKILLS = ";|,/&+"
_LONGEST_FIELD = 2**30  # a pyKT field holds all answers of a student

REMEDY = "write 1 for right, 0 for wrong, nothing where there is no answer"

Where = Callable[[int], BenchError]


def delimiter(text: Text) -> str:
    """What separates the fields of a line: as the file tells, or as its first line looks.

    A comma, a semicolon, a tab or a bar, or else a blank; not what stands between quotes.
    """
    if text.delimiter is not None:
        return text.delimiter
    line = re.sub('"[^"]*"', "", next(text.filled())[1])
    best = max(",;\t|", key=line.count)
    return best if best in line else " "


def rows(text: Text) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of each row; a blank line has none.

    Where quoted text goes over several lines, a blank stands for each end of a line.

    Raises:
        BenchError: quotes are not closed, or not as CSV has them.
    """
    reader = csv.reader(
        (line + "\n" for line in text.lines),
        delimiter=delimiter(text),
        skipinitialspace=True,
        strict=True,  # else a quote that is not closed swallows the rest of the file
    )
    line = 0
    try:
        while (row := _next(reader)) is not None:
            if reader.line_num > line + 1:
                row = [re.sub(r"\s*\n\s*", " ", field) for field in row]
            line = reader.line_num
            yield line, row
    except csv.Error as error:
        raise text.wrong(line + 1, f"no CSV ({error}): mend the quotes") from error


def _next(reader) -> list[str] | None:
    """The next row. The length of a field is limited for the whole process: put back at once."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(before)


def header(text: Text) -> list[str]:
    """The fields of the first row that is not blank.

    Raises:
        BenchError: there is none, but quotes around nothing.
    """
    for _, row in rows(text):
        if any(row):
            return [name.strip() for name in row]
    raise BenchError(f"{text.path}: is empty: give a file of answers")


def plain(name: str) -> str:
    """A column's name as it is compared.

    >>> plain("User ID"), plain("item-id")
    ('user_id', 'item_id')
    """
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def check_width(text: Text, line: int, row: Sequence[str], width: int) -> None:
    """Refuses a row that has not as many fields as the header, but for empty ones at its end.

    Raises:
        BenchError: names the line.
    """
    if len(row) < width or any(row[width:]):
        raise text.wrong(
            line,
            f"{len(row)} fields, but the header has {width}: quote a field that holds the "
            "delimiter, and close every quote",
        )


def columns(text: Text, wanted: Sequence[int]) -> tuple[list[Sequence[str]], np.ndarray]:
    """Some columns of the table below the header; blank lines and trailing delimiters are skipped.

    Args:
        text: the file.
        wanted: numbers of columns.

    Returns:
        Each column's fields, and ``[rows]`` the line numbers.

    Raises:
        BenchError: a row has more or fewer fields than the header.
    """
    filled = ((line, row) for line, row in rows(text) if any(row))
    width = len(next(filled)[1])
    pick = itemgetter(*wanted, 0)  # one more, so that it always gives a tuple
    picked, lines = [], []
    for line, row in filled:
        check_width(text, line, row, width)
        picked.append(pick(row))
        lines.append(line)
    if not picked:
        raise BenchError(f"{text.path}: has a header, but no rows: give a file of answers")
    return list(zip(*picked))[:-1], np.array(lines)


def number(tokens: Iterable[str], where: Where | None = None, what: str = "id"):
    """Numbers the different names among tokens, in their natural order.

    Args:
        tokens: ``[n]``; blanks around them and ``.0`` behind whole numbers are dropped.
        where: makes an error of (index of a token, what is wrong); if given, a name that is
            missing or negative is refused.
        what: of what these are names, for messages.

    Returns:
        ``[n]`` int64 numbers, and the names.
    """
    tokens = list(tokens)
    tidy = {token: _tidy(token) for token in dict.fromkeys(tokens)}
    names = sorted(set(tidy.values()), key=_natural)
    place = {name: n for n, name in enumerate(names)}
    code = {token: place[name] for token, name in tidy.items()}
    codes = np.fromiter(map(code.__getitem__, tokens), np.int64, len(tokens))
    for name in names if where else []:
        if name in MISSING:
            raise where(
                int((codes == place[name]).argmax()),
                f"no {what}: fill it in, or drop it"
                + (f"; a name must be another one than {name}" if name else ""),
            )
        if _NEGATIVE.fullmatch(name):
            raise where(
                int((codes == place[name]).argmax()),
                f"{what} {shown(name)} is negative: number them from 0 or 1",
            )
    return codes, names


def mark(token: str) -> float | None:
    """The number that a token is, NaN if it says that there is none, None if it is a word."""
    token = token.strip().lower()
    if token in _MARKS:
        return _MARKS[token]
    try:
        return float(token)
    except ValueError:
        return None


def is_word(token: str) -> bool:
    """Whether a token can be a name: no number, and not as programs write that there is nothing."""
    value = mark(token)
    return token.strip() not in MISSING and (value is None or math.isnan(value))


def marks(tokens: Iterable[str], where: Where) -> np.ndarray:
    """``[n]`` float64 answers between 0 and 1; missing ones are NaN.

    Args:
        tokens: ``[n]``.
        where: as for `number`.
    """
    tokens = list(tokens)
    value = {token: mark(token) for token in dict.fromkeys(tokens)}
    for token, number in value.items():
        if number is None or not (math.isnan(number) or 0 <= number <= 1):
            raise where(tokens.index(token), f"answer {shown(token)} is neither 0 nor 1: {REMEDY}")
    return np.fromiter(map(value.__getitem__, tokens), np.float64, len(tokens))


def zeros_and_ones(tokens: Iterable[str], where: Where) -> np.ndarray:
    """``[n]`` int8 answers, each of which must be 0 or 1; ``where`` as for `number`."""
    tokens = list(tokens)
    found = marks(tokens, where)
    bad = ~((found == 0) | (found == 1))
    if bad.any():
        at = int(bad.argmax())
        raise where(at, f"answer {shown(tokens[at])} is neither 0 nor 1: {REMEDY}")
    return found.astype(np.int8)


def split_skills(token: str) -> list[str]:
    """The skills that one field names, as far as its signs tell.

    >>> split_skills("3_7"), split_skills("3,7"), split_skills("a~~b"), split_skills("[3, 7]")
    (['3', '7'], ['3', '7'], ['a', 'b'], ['3', '7'])
    >>> split_skills("two_steps"), split_skills("a, b"), split_skills("NA")
    (['two_steps'], ['a, b'], [])
    """
    token = token.strip()
    if token.startswith("[") and token.endswith("]"):
        parts = token[1:-1].split(",")
    elif "~~" in token:
        parts = token.split("~~")
    else:  # names may hold these signs, numbers do not
        parts = re.split("[_,;|]", token)
        if not all(part.strip().isdecimal() for part in parts):
            parts = [token]
    parts = [_tidy(part.strip(" '\"")) for part in parts]
    return [part for part in parts if part not in MISSING]


def link(item: np.ndarray, tokens: Iterable[str], where: Where):
    """The skills, and which item asks for which.

    ``Fractions;Decimals`` is two skills where each of them is one elsewhere; also with another of
    the usual signs between them.

    Args:
        item: ``[n]`` numbers of items.
        tokens: ``[n]`` fields that name skills of the item, none or several.
        where: as for `number`.

    Returns:
        Names of skills, ``[links, 2]`` pairs of an item's and a skill's number, and notes.
    """
    tokens = list(tokens)
    different = {token: n for n, token in enumerate(dict.fromkeys(tokens))}
    split = [split_skills(token) for token in different]
    for token, parts in zip(different, split):
        if any(_NEGATIVE.fullmatch(part) for part in parts):
            raise where(
                tokens.index(token),
                f"skill {shown(token)} is negative: leave it empty if the item has none",
            )
    split, notes = _split_known(split)
    names = sorted({part for parts in split for part in parts}, key=_natural)
    place = {name: n for n, name in enumerate(names)}
    field = np.fromiter(map(different.__getitem__, tokens), np.int64, len(tokens))
    pairs = np.unique(item * len(different) + field)  # few, so that a loop over them is quick
    links = [(p // len(different), place[s]) for p in pairs for s in split[p % len(different)]]
    return names, np.array(links, np.int64).reshape(-1, 2), notes


def _split_known(split: list[list[str]]) -> tuple[list[list[str]], list[str]]:
    """Takes names apart whose parts are all skills elsewhere; a note of what stays whole.

    Args:
        split: the skills of each different field.
    """
    known = {part for parts in split for part in parts}
    taken, whole, found = [], [], []
    for parts in split:
        now = []
        for name in parts:
            ways = [
                [part.strip() for part in name.split(sign)]
                for sign in _BETWEEN_SKILLS
                if sign in name
            ]
            best = next((way for way in ways if known.issuperset(way)), None)
            if best:
                taken.append(name)
            elif ";" in name or "|" in name or any(known & set(way) for way in ways):
                whole.append(name)
            now += best or [name]
        found.append(now)
    notes = []
    if taken:
        notes.append(
            f"took apart {len(taken):,} fields of several skills, such as {shown(taken[0])}"
        )
    if whole:
        notes.append(
            f"took {shown(whole[0])} for one skill"
            + (f", and {len(whole) - 1:,} others that may be several" if whole[1:] else "")
            + ", as its parts are not all skills elsewhere; write a~~b for several"
        )
    return found, notes


def _tidy(name: str) -> str:
    name = name.strip()
    plain = spreadsheets.as_written(name)  # what this suite wrote is read again
    name = name if _NEGATIVE.fullmatch(plain) else plain
    return name[:-2] if _WHOLE_AS_FLOAT.fullmatch(name) else name


def _natural(name: str):
    """Numbers by size, then words by the alphabet."""
    return (0, int(name), name) if _WHOLE.fullmatch(name) else (1, 0, name)
