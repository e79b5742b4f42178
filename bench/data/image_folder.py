"""Any images that lie in a folder for each class."""

from pathlib import Path

from bench.data.images import preparing
from bench.data.images.layouts import class_folders, plain_folders
from bench.data.images.prepared import PreparedImages

KNOWN = preparing.ImageSet(
    name="image_folder",
    title="your images",
    side=84,
    channels=3,
    standard=None,
    layouts=(class_folders, plain_folders),
    no_download="your own images have to be given",
)


class ImageFolderDataModule(PreparedImages):
    """Episodes of images of yours: 84x84 RGB, in 0..1.

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
