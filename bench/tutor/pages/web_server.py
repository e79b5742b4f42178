"""The web server of the pages: how many it serves, and what it writes down of them."""

import uvicorn
from starlette.types import ASGIApp

MOST_AT_ONCE = 500  # connections


def web_server(app: ASGIApp) -> uvicorn.Server:
    """A server for the application, which is not running yet."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,  # addresses hold names and tokens
            server_header=False,
            limit_concurrency=MOST_AT_ONCE,
            timeout_keep_alive=20,
            lifespan="off",
            ws="none",  # forms need none, and the library for them warns
        )
    )
