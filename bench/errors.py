"""The one exception that stands for a mistake the user can mend."""


class BenchError(Exception):
    """Says what is wrong, where (file, field), and the remedy, in one message.

    The command line prints the message alone and exits with code 2; a script sees an ordinary
    exception.
    """


def nearest(name: str, known) -> str:
    """The end of an error message about an unknown name: the nearest match, then all of them.

    >>> nearest("mampl", ["maml", "fomaml"])
    'did you mean maml? Known: fomaml, maml'
    """
    import difflib

    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return (f"did you mean {close[0]}? " if close else "") + "Known: " + ", ".join(known)
