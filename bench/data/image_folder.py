"""Any images that lie in a folder for each class."""

from bench.data.images import preparing
from bench.data.images.layouts import class_folders, plain_folders
from bench.data.images.prepared import PreparedImages

IMAGE_SET = preparing.ImageSet(
    name="image_folder",
    title="your images",
    side=84,
    channels=3,
    standard=None,
    layouts=(class_folders, plain_folders),
    no_download="your own images have to be given",
    upright=True,
    writes_splits=True,
)


class ImageFolderDataModule(PreparedImages):
    """Episodes of images of yours: 84x84 RGB, in 0..1.

    Args:
        **kwargs: see :class:`bench.data.images.prepared.PreparedImages`.
    """

    image_set = IMAGE_SET


prepare = IMAGE_SET.prepare
