"""The exception that stands for a mistake that the user can put right, and its kinds."""


class BenchError(Exception):
    """Says what is wrong, where (file, field), and the remedy, in one message.

    The command line prints the message alone and exits with code 2; a script sees an ordinary
    exception.
    """

    code = 2


class Diverged(BenchError):
    """The loss is not finite: it says at which meta-iteration, task and inner step."""


class DivergedElsewhere(Diverged):
    """The same, on another device, which says more."""


class Interrupted(BenchError):
    """The run was asked to stop, and can go on.

    Args:
        signal: which signal asked.
    """

    def __init__(self, signal: int):
        super().__init__("interrupted; run the same command again to go on where it stopped")
        self.code = 128 + signal  # the shells' convention: 130 for Ctrl-C, 143 for SIGTERM


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or elsewhere.

    >>> out_of_memory(MemoryError()), out_of_memory(ValueError("other"))
    (True, False)
    """
    message = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"  # torch's, which is not imported for this
        or any(words in message for words in ("allocate memory", "out of memory", "alloc_failed"))
    )


def nearest(name: object, known) -> str:
    """The end of an error message about an unknown name: the nearest match, then all of them.

    >>> nearest("mampl", ["maml", "fomaml"])
    'did you mean maml? Known: fomaml, maml'
    """
    import difflib

    known = sorted(known)
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    return (f"did you mean {close[0]}? " if close else "") + "Known: " + ", ".join(known)
