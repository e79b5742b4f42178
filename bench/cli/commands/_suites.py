"""Which suites of those that have records a user means."""

from collections.abc import Collection, Sequence

from bench.base.errors import BenchError, nearest


def with_records(given: Sequence[str], suites: Collection[str]) -> list[str]:
    """The suites that names stand for: as they are written, otherwise with ``-`` for ``_``.

    ``run`` takes ``omniglot_small`` for ``omniglot-small``, while ``compare`` and suites of one's
    own have names with ``_`` in them.

    >>> with_records(["omniglot_small", "a_b"], {"omniglot-small", "a_b", "a-b"})
    ['omniglot-small', 'a_b']

    Raises:
        BenchError: for one that has no records; it gives the nearest match.
    """
    found = []
    for name in given:
        spellings = [n for n in (name, name.replace("_", "-")) if n in suites]
        if not spellings:
            raise BenchError(f"no records of suite {name!r}: {nearest(name, suites)}")
        found.append(spellings[0])
    return found
