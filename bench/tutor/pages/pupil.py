"""The pupil's pages: a question, what the answer changed, and an end when enough is known."""

import uuid
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bench.base.errors import BenchError
from bench.tutor.answer_book import Answer, named
from bench.tutor.judgement import sure_enough
from bench.tutor.pages import rendering
from bench.tutor.pages.options import Options
from bench.tutor.pages.questions_file import Question
from bench.tutor.tutor import Tutor

SHOWN = 5  # skills of which the change is shown
LONGEST_ANSWER = 1000  # characters
PRACTICE = "practice"


class Pages:
    """The pages, of one tutor.

    Args:
        tutor: with the answers of the class.
        questions: as pupils see them, by name.
        options: how they are asked.
    """

    def __init__(self, tutor: Tutor, questions: dict[str, Question], options: Options):
        self.tutor, self.questions, self.options = tutor, questions, options

    def routes(self) -> Iterator[tuple[str, Any, str]]:
        """Path below the token, page and method of each."""
        yield "", self.start, "GET"
        yield "ask", self.ask, "GET"
        yield "answer", self.answer, "POST"

    async def start(self, request: Request) -> Response:
        """Asks for the name."""
        return HTMLResponse(rendering.page("start.html"))

    async def ask(self, request: Request) -> Response:
        """The effect of the last answer, and the next question or the end."""
        query = request.query_params
        student = named(query.get("name", ""), "your name")
        n = query.get("n", "0")
        count = min(int(n[:9]), self.options.most) if n.isascii() and n.isdigit() else 0
        values = await run_in_threadpool(
            self._shown,
            student,
            count,
            query.get("after", ""),
            query.get("goal") == PRACTICE,
            "stop" in query,
        )
        return HTMLResponse(rendering.page(values.pop("template"), **values))

    async def answer(self, request: Request) -> Response:
        """Writes an answer down, then leads to what it changed: reloading sends nothing again."""
        async with request.form(max_files=0, max_fields=10) as form:
            fields = {name: str(value) for name, value in form.items()}
        student = named(fields.get("name", ""), "your name")
        question, id = self._question(fields.get("question", "")), fields.get("id", "")
        right = self._judged(question, fields)
        await run_in_threadpool(self._write, student, question.name, right, id)
        n = fields.get("n", "0")
        count = int(n) if n.isascii() and n.isdigit() and len(n) < 5 else 0
        there = {"name": student, "n": count + 1, "after": id}
        if fields.get("goal") == PRACTICE:
            there["goal"] = PRACTICE
        return RedirectResponse(f"ask?{urlencode(there)}", 303)

    def _judged(self, question: Question, fields: dict[str, str]) -> bool:
        if not question.answer:
            if fields.get("right") not in ("0", "1"):
                raise BenchError("say whether your answer was right")
            return fields["right"] == "1"
        given = fields.get("given", "")
        if not given.strip() or len(given) > LONGEST_ANSWER:
            raise BenchError("your answer is empty, or very long: go back and write a short one")
        return question.right(given)

    def _write(self, student: str, question: str, right: bool, id: str) -> None:
        before = {answer.id: answer for answer in self.tutor.book.of(student)}
        if id in before and before[id].question == question:
            return  # a second press on another button: the first one counts
        self.tutor.answer(student, question, right, id)

    def _shown(
        self, student: str, count: int, after: str, practice: bool, stop: bool
    ) -> dict[str, Any]:
        answers = self.tutor.answers(student)
        done = [i for i, a in enumerate(answers) if a.id == after]
        before = answers[: done[0]] if done else answers
        earlier, now = self.tutor.skills_over_time([before, answers])
        sure = sure_enough(now, self.tutor.settings)
        values = {
            "name": student,
            "count": count,
            "most": self.options.most,
            "settings": self.tutor.settings,
            "effect": self._effect(answers[done[0]], earlier, now) if done else None,
            "goal": PRACTICE if practice else "",
            "unsure": now[0]["low"] is None,
        }
        ended = stop or count >= self.options.most or (sure and not practice)
        if not ended:
            one = self.tutor.practise(student) if practice else self._next(student)
            if one:
                question = self._question(one[0])
                shown = {"question": question, "id": uuid.uuid4().hex}
                return values | shown | {"template": "question.html"}
        rows = sorted(now, key=lambda row: -row["chance"])
        return values | {"template": "done.html", "rows": rows, "sure": sure, "stopped": stop}

    def _next(self, student: str) -> Sequence[str]:
        return self.tutor.next(student, 1, self.options.policy, self.options.randomesque)

    def _question(self, name: str) -> Question:
        self.tutor.number(name)
        return self.questions.get(name, Question(name, name))

    def _effect(self, answer: Answer, before: list[dict], now: list[dict]) -> dict[str, Any]:
        """What the last answer changed, the skills that moved most first."""
        rows = [
            {**row, "before": old["chance"], "change": row["chance"] - old["chance"]}
            for old, row in zip(before, now)
        ]
        rows.sort(key=lambda row: -abs(row["change"]))
        question = self._question(answer.question)
        return {"right": answer.right, "question": question, "rows": rows[:SHOWN]}
