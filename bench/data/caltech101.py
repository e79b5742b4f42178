"""Caltech-101: photographs of 101 kinds of things, 84x84, in any of miniImageNet's layouts."""

from pathlib import Path

from bench.data import mini_imagenet
from bench.data.images import preparing
from bench.data.images.prepared import PreparedImages

KNOWN = mini_imagenet.KNOWN._replace(
    name="caltech101",
    title="Caltech-101",
    standard=None,
    no_download="no split of Caltech-101 is standard, so it is not downloaded",
)


class Caltech101DataModule(PreparedImages):
    """Episodes of photographs: 84x84 RGB, in 0..1.

    The splits are those of the files that were prepared: nobody has published one that others use.

    Args:
        **kwargs: see :class:`bench.data.images.prepared.PreparedImages`.
    """

    known = KNOWN


def prepare(source: Path | None = None, data_root: Path | None = None) -> str:
    """Packs the images of a source; see :func:`bench.data.images.preparing.prepare`."""
    return preparing.prepare(KNOWN, source, data_root)
