"""The command line: parses, then calls one of :mod:`bench.cli.commands`."""

import argparse
import contextlib
import importlib
import io
import os
import pkgutil
import signal
import sys

from rich.console import Console

from bench import __version__
from bench.base.errors import BenchError, Interrupted
from bench.cli import commands
from bench.cli.commands import predict

LIGHTNING_COMMANDS = ("fit", "validate", "test", "predict")


def main(argv: list[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit code: what the command says, else 0; 2, with one message on standard error, for
        what the user can mend; 3 if runs are left to another process; 130 and 143 after Ctrl-C and
        SIGTERM.
    """
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may be no text; as on stderr
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()  # what cannot be written is said here, and not when Python ends
        return code
    except BenchError as error:
        print(f"maml-bench: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        error = Interrupted(signal.SIGINT)
        print(f"maml-bench: {error}", file=sys.stderr)
        return error.code
    except BrokenPipeError:  # the reader of a pipe went away
        _write_no_more()
        return 1
    except OSError as error:  # a folder that is none, a name that is too long, a full disk
        if error.filename is None:
            _write_no_more()  # it may be standard output that is full
        print(f"maml-bench: {error}: give another path, or make room", file=sys.stderr)
        return BenchError.code


def _run(argv: list[str]) -> int:
    own = argv[:1] == ["predict"] and predict.is_meant(argv[1:])
    if argv and argv[0] in LIGHTNING_COMMANDS and not own:
        from bench.base.allocator import keep_memory
        from bench.cli.lightning_cli import run_lightning

        keep_memory()
        run_lightning(argv)
        return 0
    console = Console(width=None if sys.stdout.isatty() else 120, soft_wrap=False)
    options = parser().parse_args(argv)
    return options.run(options, console) or 0


def _open_closed_streams() -> None:
    """Leads streams that are closed, as by ``>&-``, to nowhere.

    Otherwise the next file that is opened would get their number, and what is printed.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


def _write_no_more() -> None:
    """Leads standard output to nowhere, so that what is left of it does not fail again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser() -> argparse.ArgumentParser:
    """All commands and their flags."""
    top = argparse.ArgumentParser(
        prog="maml-bench",
        description="First- against second-order MAML on images and on students.",
        epilog="fit, validate, test and predict are Lightning's own command line: "
        "maml-bench fit --help",
    )
    top.add_argument("--version", action="version", version=__version__)
    parsers = top.add_subparsers(required=True, metavar="COMMAND")
    for found in pkgutil.iter_modules(commands.__path__):
        if not found.name.startswith("_"):
            module = importlib.import_module(f"bench.cli.commands.{found.name}")
            one = parsers.add_parser(found.name.replace("_", "-"), help=module.HELP)
            one.set_defaults(run=module.run)
            module.flags(one)
    for name in LIGHTNING_COMMANDS:
        if name != "predict":  # which is among the commands
            parsers.add_parser(name, help=f"Lightning's own command line: {name}", add_help=False)
    return top
