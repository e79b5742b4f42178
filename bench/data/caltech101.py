"""Caltech-101: photographs of 101 kinds of things, 84x84, in any of miniImageNet's layouts."""

from bench.data import mini_imagenet
from bench.data.images.prepared import PreparedImages

IMAGE_SET = mini_imagenet.IMAGE_SET._replace(
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

    image_set = IMAGE_SET


prepare = IMAGE_SET.prepare
