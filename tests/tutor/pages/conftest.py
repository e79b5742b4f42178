import socket
import threading
from contextlib import contextmanager

import pytest

from bench.tutor.pages.web_server import web_server


@pytest.fixture
def served():
    """Serves an application over HTTP, as the command does: ``with served(app) as address``."""

    @contextmanager
    def serving(app):
        listening = socket.create_server(("127.0.0.1", 0))
        server = web_server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()

    return serving
