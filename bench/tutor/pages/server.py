"""``maml-bench tutor``: serves the pages, on this machine alone unless told otherwise."""

import socket
from pathlib import Path

from rich.console import Console

from bench.base.errors import BenchError
from bench.tutor.pages import questions_file
from bench.tutor.pages.options import Options
from bench.tutor.policies import check
from bench.tutor.tutor import Tutor

LOCAL = "127.0.0.1"


def serve(
    tutor: Tutor,
    questions: Path | None,
    options: Options,
    host: str,
    port: int,
    console: Console,
) -> None:
    """Prints the addresses and serves the pages until Ctrl-C.

    Args:
        tutor: with the answers of the class.
        questions: file of the questions' texts; None: pupils see their names.
        options: how pupils are asked.
        host: address to listen at.
        port: 0: any that is free.
        console: where to print.

    Raises:
        BenchError: if the questions cannot be read, or the address is taken.
    """
    try:
        from bench.tutor.pages.app import application
        from bench.tutor.pages.web_server import web_server
    except ImportError:
        raise BenchError("the page needs: pip install 'maml-bench[tutor]'") from None
    check([options.policy or tutor.policy], tutor.learners)
    words, notes = tutor.words, []
    texts = {}
    if questions is not None:
        texts, notes = questions_file.read(questions, words.items)
        notes.append(f"Read {questions}: {len(texts):,} of {len(words.items):,} questions.")
    app = application(tutor, texts, options)
    with _socket(host, port) as listening:
        where = f"http://{_shown(host)}:{listening.getsockname()[1]}"
        notes += [
            f"Answers are kept in {tutor.book.path}: {len(tutor.students()):,} students so far.",
            f"For pupils:  {where}/p/{options.pupil}/",
            f"For you:     {where}/t/{options.teacher}/",
            "Whoever has an address can open its pages. Ctrl-C ends it; no answer is lost.",
        ]
        if host != LOCAL:
            notes.append(
                "Other machines can reach it, and what is sent is not encrypted: use it in a "
                "network that you trust."
            )
        for note in notes:
            console.print(note, markup=False, highlight=False, soft_wrap=True)
        try:
            web_server(app).run(sockets=[listening])
        except KeyboardInterrupt:
            console.print("Ended.", highlight=False)


def _socket(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise BenchError(f"--port {port}: give one from 1 to 65535, or 0 for any that is free")
    try:
        return socket.create_server((host, port), reuse_port=False)
    except OSError as error:
        raise BenchError(
            f"--host {host} --port {port}: cannot listen there ({error.strerror}): give another "
            "port, or --port 0 for any that is free"
        ) from None


def _shown(host: str) -> str:
    """An address that a browser can open."""
    return socket.gethostname() if host in ("0.0.0.0", "::") else host
