"""The answers of a class in one SQLite file: many students, several processes, nothing lost.

When :meth:`AnswerBook.add` returns, the answer is in the file, whatever happens to the process
afterwards; each has an id and counts once, however often it is sent.
"""

import hashlib
import sqlite3
import threading
import unicodedata
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.base.errors import BenchError
from bench.data.students.responses.table import MISSING

LONGEST = 200  # characters of a name
WAIT = 30  # seconds, for another process that writes
_MARK = 0x6D616D6C  # which says whose file it is
_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    student TEXT NOT NULL,
    question TEXT NOT NULL,
    right INTEGER NOT NULL CHECK (right IN (0, 1)),
    time TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
"""
_INDEX = "CREATE INDEX IF NOT EXISTS answers_of ON answers (student, number);"
_INSERT = "INSERT INTO answers (id, student, question, right) VALUES (?, ?, ?, ?)"


class Answer(NamedTuple):
    """One answer.

    Attributes:
        id: of this answer, in the whole file.
        student: name.
        question: name.
        right: whether it was right.
        time: when it was written down, in UTC.
    """

    id: str
    student: str
    question: str
    right: bool
    time: str = ""


class AnswerBook:
    """Answers in a file of SQLite, in the order in which they came.

    Args:
        path: the file; made if it is not there.

    Raises:
        BenchError: if it cannot be opened, or is another program's.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path).expanduser()
        self._own = threading.local()  # a connection serves one thread
        with self._file() as file:
            mark = file.execute("PRAGMA application_id").fetchone()[0]
            tables = file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if mark != _MARK and (mark or tables):
                raise BenchError(f"{self.path} is another program's database: give another file")
            file.execute("PRAGMA journal_mode = WAL")  # readers and a writer at the same time
            file.execute("BEGIN IMMEDIATE")
            file.execute(f"PRAGMA application_id = {_MARK}")
            file.execute(_TABLE)
            file.execute(_INDEX)
            file.execute("COMMIT")

    def add(self, student: str, question: str, right: bool, id: str | None = None) -> bool:
        """Writes an answer down; it is safe on disk when this returns.

        Args:
            student: name.
            question: name.
            right: whether it was right.
            id: of the answer; None: a new one.

        Returns:
            False if the very answer, by its id, was there before, and so was not counted again.

        Raises:
            BenchError: for a name that is none, or an id that another answer has.
        """
        student = named(student)
        id = uuid.uuid4().hex if id is None else named(id, "the id of an answer")
        with self._writing() as file:
            row = file.execute(
                "SELECT student, question, right FROM answers WHERE id = ?", (id,)
            ).fetchone()
            if row is None:
                file.execute(_INSERT, (id, student, question, int(right)))
            elif row != (student, question, int(right)):
                raise BenchError(f"the id {id} is of another answer: each answer needs its own")
        return row is None

    def add_missing(self, answers: Iterable[tuple[str, str, bool]]) -> int:
        """Writes down those of a file that are not there yet, all of them or, if killed, none.

        The same answer (student, question, right or wrong) given twice in the file is there twice
        afterwards, and no more often when the file, or a longer one of the same class, comes again.

        Args:
            answers: student, question and whether it was right, in the order of time.

        Returns:
            How many were new.
        """
        with self._writing() as file:
            rows = file.execute(
                "SELECT student, question, right, count(*) FROM answers GROUP BY 1, 2, 3"
            )
            there = {tuple(key): count for *key, count in rows}
            met, new = Counter(), []
            for student, question, right in answers:
                key = named(student), question, int(right)
                met[key] += 1
                if met[key] > there.get(key, 0):
                    text = "\0".join(map(str, (*key, met[key])))
                    new.append((hashlib.sha256(text.encode()).hexdigest(), *key))
            file.executemany(_INSERT, new)
        return len(new)

    def of(self, student: str) -> list[Answer]:
        """The answers of a student, the first first; none of a student who is not known."""
        return self._read("WHERE student = ?", (named(student),))

    def all(self) -> list[Answer]:
        """All answers, in the order in which they came."""
        return self._read("", ())

    def students(self) -> dict[str, int]:
        """How many answers each student gave, by name in the order of the alphabet."""
        query = "SELECT student, count(*) FROM answers GROUP BY student"
        with self._file() as file:
            found = dict(file.execute(query).fetchall())
        return dict(sorted(found.items(), key=lambda pair: (pair[0].casefold(), pair[0])))

    def _read(self, where: str, values: tuple) -> list[Answer]:
        query = f"SELECT id, student, question, right, time FROM answers {where} ORDER BY number"
        with self._file() as file:
            return [Answer(*r[:3], bool(r[3]), r[4]) for r in file.execute(query, values)]

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """All that is written within this context, or nothing of it."""
        with self._file() as file:
            file.execute("BEGIN IMMEDIATE")  # waits its turn, before it looks what is there
            try:
                yield file
            except BaseException:
                file.execute("ROLLBACK")
                raise
            file.execute("COMMIT")

    @contextmanager
    def _file(self) -> Iterator[sqlite3.Connection]:
        try:
            if not hasattr(self._own, "file"):
                self._own.file = sqlite3.connect(self.path, timeout=WAIT, isolation_level=None)
                self._own.file.execute("PRAGMA synchronous = FULL")  # survives a power cut, too
            yield self._own.file
        except sqlite3.Error as error:
            raise BenchError(
                f"{self.path}: cannot be used as a database of answers ({error}): give another "
                "file, or make room"
            ) from error


def named(name: str, what: str = "the name of a student") -> str:
    """A name as it is kept: composed letters, without blanks around it.

    Raises:
        BenchError: if nothing is left, if it is too long or holds control characters, or if files
            of answers would take it for no name.
    """
    kept = unicodedata.normalize("NFC", name).strip() if isinstance(name, str) else ""
    if not kept or len(kept) > LONGEST or any(unicodedata.category(c) in _NO_TEXT for c in kept):
        raise BenchError(f"{what} is {name!r:.80}: give 1 to {LONGEST} characters in one line")
    if kept in MISSING:
        raise BenchError(f"{what} is {kept!r}, which in files of answers means none: add something")
    return kept


_NO_TEXT = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, ends of lines
