"""Quick, Draw!: people's drawings of things in 20 seconds, 28x28, from NumPy files."""

from pathlib import Path

from bench.data.images import preparing
from bench.data.images.layouts import numpy_files
from bench.data.images.prepared import PreparedImages

KNOWN = preparing.ImageSet(
    name="quickdraw",
    title="Quick, Draw!",
    side=28,
    channels=1,
    standard=None,  # people take some of the classes, and split them as they like
    layouts=(numpy_files,),
    no_download="Quick, Draw! is 40 GB, so it is not downloaded unasked",
)


class QuickDrawDataModule(PreparedImages):
    """Episodes of drawings: 28x28, bright ink on black, in 0..1.

    Args:
        **kwargs: see :class:`bench.data.images.prepared.PreparedImages`.
    """

    known = KNOWN


def prepare(source: Path | None = None, data_root: Path | None = None) -> str:
    """Packs the images of a source, and writes down which class is in which split.

    See :func:`bench.data.images.preparing.prepare`.
    """
    said = preparing.prepare(KNOWN, source, data_root)
    return f"{said} {preparing.write_splits(KNOWN, data_root)}"
