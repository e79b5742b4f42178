"""What runs leave behind: records and failures, and the tables and plots made from them.

The package is a function too: ``from bench import results`` and ``results("results")``.
"""

import sys
from pathlib import Path
from types import ModuleType


class _Function(ModuleType):
    """A module that can be called, as a package and a function cannot have one name otherwise."""

    def __call__(self, folder: str | Path = "results"):
        """All runs in a results folder, one row each.

        Args:
            folder: as ``--out`` of the command.

        Returns:
            A pandas DataFrame: see :func:`bench.results.tables.frame`.

        Raises:
            BenchError: if there are no records, or one of them is broken.
        """
        from bench.base.errors import BenchError
        from bench.results import records, tables

        found = records.read_all(Path(folder))
        if not found:
            raise BenchError(f"no records under {folder}: run a suite first, or give its --out")
        return tables.frame(found)


sys.modules[__name__].__class__ = _Function
