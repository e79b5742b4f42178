"""tieredImageNet: 84x84 colour photographs in 351/97/160 classes, split by kinds of things."""

from bench.data.images import preparing
from bench.data.images.layouts import class_folders, plain_folders, png_pickles
from bench.data.images.prepared import PreparedImages

IMAGE_SET = preparing.ImageSet(
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

    image_set = IMAGE_SET


prepare = IMAGE_SET.prepare
