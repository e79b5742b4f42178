"""The web application: addresses that only their token opens, and guards before every page."""

import secrets

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bench.base.errors import BenchError
from bench.tutor.pages import pupil, rendering, teacher
from bench.tutor.pages.options import Options
from bench.tutor.pages.questions_file import Question
from bench.tutor.tutor import Tutor

MOST_BYTES = 2**23  # of a request: a file of answers may be no larger
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # a page elsewhere learns no token
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def application(
    tutor: Tutor, questions: dict[str, Question] | None = None, options: Options | None = None
) -> ASGIApp:
    """The application, to be served by any ASGI server.

    Args:
        tutor: with the answers of the class.
        questions: as pupils see them, by name; of others the name is shown.
        options: how pupils are asked.
    """
    options = options or Options()
    routes = [Route("/style.css", _style)]
    for folder, token, pages in (
        ("p", options.pupil, pupil.Pages(tutor, questions or {}, options)),
        ("t", options.teacher, teacher.Pages(tutor)),
    ):
        routes += [
            Route(f"/{folder}/{{token}}/{path}", _guarded(page, token), methods=[method])
            for path, page, method in pages.routes()
        ]
    handlers = {BenchError: _refused, HTTPException: _no_page}
    return _Bounded(Starlette(routes=routes, exception_handlers=handlers))


def _guarded(page, token: str):
    """A page that is there for who has the token."""

    async def answer(request: Request) -> Response:
        given = request.path_params["token"]
        if not secrets.compare_digest(given.encode(), token.encode()):
            raise HTTPException(404)
        return await page(request)

    return answer


async def _style(request: Request) -> Response:
    return Response(rendering.style(), media_type="text/css")


async def _refused(request: Request, error: BenchError) -> Response:
    return _problem("That did not work", str(error), 400)


async def _no_page(request: Request, error: HTTPException) -> Response:
    said = {
        404: "There is no such page. Is the address complete? Ask for it again.",
        413: f"That is larger than {MOST_BYTES // 2**20} MB: divide the file.",
    }
    return _problem("No page here", said.get(error.status_code, error.detail), error.status_code)


def _problem(title: str, message: str, code: int) -> Response:
    return HTMLResponse(rendering.page("problem.html", title=title, message=message), code)


class _Bounded:
    """Reads no more of a request than is sensible, and says on every page what a browser may do."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        read = 0

        async def bounded():
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MOST_BYTES:
                raise HTTPException(413)
            return message

        async def with_headers(message):
            if message["type"] == "http.response.start":
                headers = [(n.lower().encode(), v.encode()) for n, v in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *headers]}
            await send(message)

        await self.app(scope, bounded, with_headers)
