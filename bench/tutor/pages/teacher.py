"""The teacher's pages: the class at a glance, one student, files in and out."""

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from bench.base import spreadsheets
from bench.base.errors import BenchError
from bench.base.option_text import typed_as
from bench.tutor.answer_book import named
from bench.tutor.pages import rendering
from bench.tutor.pages.class_view import class_view
from bench.tutor.tutor import Tutor

AT_ONCE = 30  # students on a page
KEPT = 200  # students of whom everything is remembered, which is much for each
PACKED = (b"\x1f\x8b", b"PK", b"PAR1", b"BZh", b"\xfd7zXZ")  # how packed files begin


class Pages:
    """The pages, of one tutor.

    Args:
        tutor: with the answers of the class.
    """

    def __init__(self, tutor: Tutor):
        self.tutor = tutor
        self._students = _Remembered(tutor, tutor.report, KEPT)
        self._standings = _Remembered(tutor, tutor.standings)

    def routes(self) -> Iterator[tuple[str, Any, str]]:
        """Path below the token, page and method of each."""
        yield "", self.overview, "GET"
        yield "student", self.student, "GET"
        yield "import", self.take_over, "POST"
        yield "answers.csv", self.answers, "GET"
        yield "skills.csv", self.skills, "GET"

    async def overview(self, request: Request) -> Response:
        """The class at a glance."""
        asked = request.query_params.get("page", "1")
        number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 7 else 1
        return HTMLResponse(await run_in_threadpool(self._overview, number))

    def _overview(self, number: int, notes: Sequence[str] = ()) -> str:
        names = self.tutor.students()
        pages = max(-(-len(names) // AT_ONCE), 1)
        number = min(max(number, 1), pages)
        everybody = self._standings.of([*names])
        students = self._students.of([*names][(number - 1) * AT_ONCE : number * AT_ONCE])
        return rendering.page(
            "class.html",
            view=class_view(students, self.tutor.settings, everybody) if students else None,
            count=len(names),
            answers=sum(names.values()),
            number=number,
            pages=pages,
            notes=notes,
            shots=self.tutor.words.shots,
            many=max(names.values(), default=0),
        )

    async def student(self, request: Request) -> Response:
        """One student: skills, the curve, and what to do next."""
        name = named(request.query_params.get("name", ""))
        return HTMLResponse(await run_in_threadpool(self._student, name))

    def _student(self, name: str) -> str:
        if name not in self.tutor.students():
            raise BenchError(f"there is no student {name} in this class")
        (student,) = self._students.of([name])
        reasons = {q: self.tutor.explain(name, q)[:3] for q in student.practise[:1]}
        return rendering.page(
            "student.html",
            student=student,
            rows=sorted(student.skills, key=lambda row: -row["chance"]),
            curve=self.tutor.curve(name),
            chance={row["question"]: row["chance"] for row in student.questions},
            settings=self.tutor.settings,
            reasons=reasons,
            latest=self.tutor.book.of(name)[:-21:-1],
        )

    async def take_over(self, request: Request) -> Response:
        """Takes over a file of answers."""
        async with request.form(max_files=1, max_fields=5) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile) or not file.filename:
                raise BenchError("choose a file first")
            content = await file.read()
            skip = form.get("skip") == "1"
            name = Path(file.filename.replace("\\", "/")).name
        notes = await run_in_threadpool(self._take_over, name, content, skip)
        return HTMLResponse(await run_in_threadpool(self._overview, 1, notes))

    def _take_over(self, name: str, content: bytes, skip: bool) -> list[str]:
        if content.startswith(PACKED):  # a small one may unpack to a very large one
            raise BenchError(f"{name} is packed, or an Excel sheet: save it as CSV")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "answers.csv"
            path.write_bytes(content)
            try:
                with typed_as(_in_the_file):
                    new, said = self.tutor.load(path, skip)
            except BenchError as error:
                message = str(error).replace(str(path), name).replace(path.name, name)
                message = message.replace("--unknown-items skip", "the tick below the file")
                raise BenchError(message.replace("say which it is, as rename", "rename")) from None
        return [f"{new:,} new answers from {name}.", *said]

    async def answers(self, request: Request) -> Response:
        """All answers, as a file that every command here reads."""
        rows = await run_in_threadpool(self.tutor.book.all)
        table = pd.DataFrame(
            [(a.student, a.question, int(a.right), n, a.time) for n, a in enumerate(rows, 1)],
            columns=["user_id", "item_id", "correct", "order_id", "written"],
        )
        return _csv(table, "answers.csv")

    async def skills(self, request: Request) -> Response:
        """The skills of all students."""

        def table() -> pd.DataFrame:
            everybody = self._standings.of([*self.tutor.students()])
            return pd.DataFrame([{"student": s.name} | row for s in everybody for row in s.skills])

        return _csv(await run_in_threadpool(table), "skills.csv")


class _Remembered:
    """What is found about students, remembered until they answer again.

    Args:
        tutor: with their answers.
        find: from names to what is found of each.
        most: how many students, before all are forgotten; None: any number.
    """

    def __init__(
        self,
        tutor: Tutor,
        find: Callable[[Sequence[str]], list[Any]],
        most: int | None = None,
    ):
        self.tutor, self.find, self.most = tutor, find, most
        self._kept: dict[str, tuple[int, Any]] = {}  # and after how many answers
        self._turn = threading.Lock()  # who comes second finds what the first one found

    def of(self, names: Sequence[str]) -> list[Any]:
        """What is found about some students, in their order."""
        with self._turn:
            counts, kept = self.tutor.students(), self._kept
            old = [n for n in names if kept.get(n, (None,))[0] != counts.get(n)]
            new = {n: (counts[n], one) for n, one in zip(old, self.find(old))}
            full = self.most is not None and len(kept) >= self.most
            self._kept = new if full else kept | new
            return [(new.get(n) or kept[n])[1] for n in names]


def _in_the_file(name: str, columns: dict[str, str]) -> str:
    """What to change in the file: here nobody can say which of its columns is which.

    >>> _in_the_file("columns", {"user_id": "learner", "item_id": "NAME"})
    'rename the column learner to user_id, and the right one to item_id'
    """
    renamed = [
        f"the {'right one' if old == 'NAME' else f'column {old}'} to {new}"
        for new, old in columns.items()
    ]
    return f"rename {', and '.join(renamed)}"


def _csv(table: pd.DataFrame, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(spreadsheets.to_csv(table), media_type="text/csv", headers=headers)
