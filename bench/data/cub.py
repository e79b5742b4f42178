"""CUB-200-2011: photographs of 200 kinds of birds, 84x84."""

from bench.data.images import preparing
from bench.data.images.layouts import class_folders, plain_folders
from bench.data.images.prepared import PreparedImages

IMAGE_SET = preparing.ImageSet(
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

    image_set = IMAGE_SET


prepare = IMAGE_SET.prepare
