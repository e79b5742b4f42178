"""Processes that work for this one, whatever script has started it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_main() -> Iterator[None]:
    """Within this context, a process that starts does not run the user's script again.

    Python's own way is to import the main module there, so that a script without
    ``if __name__ == "__main__"`` would do all its work in each; and nothing of it is needed.
    """
    main = sys.modules["__main__"].__dict__
    hidden = {name: main[name] for name in ("__spec__", "__file__") if name in main}
    main["__spec__"] = None
    main.pop("__file__", None)
    try:
        yield
    finally:
        main.update(hidden)
