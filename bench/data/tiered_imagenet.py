"""tieredImageNet: 84x84 colour photographs in 351/97/160 classes, split by kinds of things."""

from pathlib import Path

from bench.data.images import preparing
from bench.data.images.layouts import class_folders, plain_folders, png_pickles
from bench.data.images.prepared import PreparedImages

KNOWN = preparing.ImageSet(
    name="tiered_imagenet",
    title="tieredImageNet",
    side=84,
    channels=3,
    standard={"train": (351, 448_695), "val": (97, 124_261), "test": (160, 206_209)},
    layouts=(
        png_pickles,
        plain_folders.Published("tiered_imagenet", "ren.json", part="train"),
        class_folders,
    ),
    no_download="tieredImageNet may not be passed on, so it cannot be downloaded",
)


class TieredImageNetDataModule(PreparedImages):
    """Episodes of photographs: 84x84 RGB, in 0..1.

    The splits are those of Ren et al. (2018): no superclass is in two of them.

    Args:
        **kwargs: see :class:`bench.data.images.prepared.PreparedImages`.
    """

    known = KNOWN


def prepare(source: Path | None = None, data_root: Path | None = None) -> str:
    """Packs the images of a source; see :func:`bench.data.images.preparing.prepare`."""
    return preparing.prepare(KNOWN, source, data_root)
