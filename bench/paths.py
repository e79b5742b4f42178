"""Where things lie: the facts about data that travel with the package, and the data cache."""

import os
from pathlib import Path

import platformdirs

from bench.errors import BenchError


def facts(dataset: str) -> Path:
    """The folder with a data set's card, splits and checksums.

    In an installed wheel it lies inside the package, in a clone in ``datasets/`` beside it.
    """
    package = Path(__file__).parent
    for folder in (package / "facts", package.parent / "datasets"):
        if (folder / dataset).is_dir():
            return folder / dataset
    raise BenchError(f"no facts about {dataset!r} in {package / 'facts'}: reinstall maml-bench")


def data_root(given: str | os.PathLike | None = None) -> Path:
    """The folder of prepared data: given, or $MAML_BENCH_DATA, or the user's cache."""
    return Path(
        given or os.environ.get("MAML_BENCH_DATA") or platformdirs.user_cache_dir("maml-bench")
    ).expanduser()
