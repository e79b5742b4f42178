"""What ``compare`` was given, read: the arguments of a data module, and what there is to know."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Source:
    """What was given, read.

    Attributes:
        name: of the comparison, a file name.
        suite: of its suite: of files, with a checksum, so that changed files are another one.
        dataset: name of the data set.
        kind: ``"answers"`` or ``"classification"``.
        data: arguments of the data module.
        shots: of images, one study for each; of students, the most answers shown.
        ways: of images.
        folds: 1 or more; of more, every student is tested once.
        rows: of a task: support and query, for what it costs.
        inputs: numbers in a row.
        skills: whether it is known what questions ask for.
        students: to train on; None: without end, or images.
        views: how often a student is tested.
        test_tasks: how many students are tested in a fold, or image episodes.
        data_root: folder of prepared data; None: the usual one.
        said: what was read, in sentences.
    """

    name: str
    suite: str
    dataset: str
    kind: str
    data: Mapping[str, Any]
    shots: tuple[int, ...]
    ways: int | None = None
    folds: int = 1
    rows: int = 0
    inputs: int = 0
    skills: bool = False
    students: int | None = None
    views: int = 1
    test_tasks: int = 0
    data_root: Path | None = None
    said: tuple[str, ...] = ()

    @property
    def in_order(self) -> bool:
        """Whether the first answers are shown, so that methods that follow a student apply."""
        return self.data.get("protocol") == "first"


def named(text: str) -> str:
    """A name of a file or folder as a name of records.

    >>> named("Klasse 7b"), named("--")
    ('Klasse-7b', 'answers')
    """
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")[:40] or "answers"


def short(checksum: str) -> str:
    """The end of a checksum, for a name."""
    return re.sub(r"[^0-9a-f]", "", checksum.lower())[-8:]


def counted(numbers: int | Sequence[int], what: str) -> str:
    """One number or several of something, in words.

    >>> counted(1, "run"), counted((1,), "answer"), counted((1, 3), "answer")
    ('1 run', '1 answer', '1 and 3 answers')
    """
    several = (numbers,) if isinstance(numbers, int) else tuple(numbers)
    return f"{listed(several)} {what}{'' if several == (1,) else 's'}"


def listed(numbers: Sequence[int]) -> str:
    """Numbers in words.

    >>> listed((1, 3, 5)), listed((1,))
    ('1, 3 and 5', '1')
    """
    words = list(map(str, numbers))
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
