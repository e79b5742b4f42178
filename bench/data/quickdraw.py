"""Quick, Draw!: people's drawings of things in 20 seconds, 28x28, from NumPy files."""

from bench.data.images import preparing
from bench.data.images.layouts import numpy_files
from bench.data.images.prepared import PreparedImages

IMAGE_SET = preparing.ImageSet(
    name="quickdraw",
    title="Quick, Draw!",
    side=28,
    channels=1,
    standard=None,  # people take some of the classes, and split them as they like
    layouts=(numpy_files,),
    no_download="Quick, Draw! is 40 GB, so it is not downloaded unasked",
    writes_splits=True,
)


class QuickDrawDataModule(PreparedImages):
    """Episodes of drawings: 28x28, bright ink on black, in 0..1.

    Args:
        **kwargs: see :class:`bench.data.images.prepared.PreparedImages`.
    """

    image_set = IMAGE_SET


prepare = IMAGE_SET.prepare
