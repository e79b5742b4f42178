"""CUB-200-2011: photographs of 200 kinds of birds, 84x84."""

from pathlib import Path

from bench.data.images import preparing
from bench.data.images.layouts import class_folders, plain_folders
from bench.data.images.prepared import PreparedImages

KNOWN = preparing.ImageSet(
    name="cub",
    title="CUB-200-2011",
    side=84,
    channels=3,
    standard=None,  # several splits are in use, and none is the standard one
    # its masks, in segmentations/, lie in folders of the same names
    layouts=(class_folders, plain_folders.Published("cub", "closer_look.json", part="images")),
    no_download="CUB-200-2011 is for non-commercial use, so it is not downloaded unasked",
)


class CUBDataModule(PreparedImages):
    """Episodes of photographs of birds: 84x84 RGB, in 0..1.

    Args:
        **kwargs: see :class:`bench.data.images.prepared.PreparedImages`.
    """

    known = KNOWN


def prepare(source: Path | None = None, data_root: Path | None = None) -> str:
    """Packs the images of a source; see :func:`bench.data.images.preparing.prepare`."""
    return preparing.prepare(KNOWN, source, data_root)
