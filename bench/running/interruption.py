"""Ctrl-C and SIGTERM: noted, and obeyed where nothing is half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bench.base.errors import Interrupted

NOTED = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """What arrived."""

    def __init__(self):
        self.number: int | None = None

    def listen(self) -> None:
        """Handles the signals here, whoever did before, such as Lightning's Trainer.

        It would tell other devices in the middle of whatever they exchange.
        """
        if threading.current_thread() is threading.main_thread():  # only there can they be handled
            for number in NOTED:
                signal.signal(number, self.note)

    def note(self, number: int, frame) -> None:
        """Keeps the first signal; the second does not wait.

        Raises:
            Interrupted: at the second.
        """
        if self.number is not None:
            raise Interrupted(number)
        self.number = number


@contextmanager
def note_signals() -> Iterator[Signals]:
    """Within this context Ctrl-C and SIGTERM are noted instead of ending the process.

    What nobody obeyed by its end does then what it would have done without.
    """
    signals, before = Signals(), {number: signal.getsignal(number) for number in NOTED}
    signals.listen()
    try:
        yield signals
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)
    if signals.number in before:
        signal.raise_signal(signals.number)
