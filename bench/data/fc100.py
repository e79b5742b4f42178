"""FC100: CIFAR-100, its superclasses divided: test classes are far (Oreshkin et al. 2018)."""

from bench.data.images import cifar100
from bench.data.images.prepared import PreparedImages

IMAGE_SET = cifar100.image_set(
    "fc100",
    "FC100",
    "oreshkin.json",
    "coarse",
    {"train": (60, 36_000), "val": (20, 12_000), "test": (20, 12_000)},
)


class FC100DataModule(PreparedImages):
    """Episodes of small photographs: 32x32 RGB, in 0..1.

    Args:
        **kwargs: see :class:`bench.data.images.prepared.PreparedImages`.
    """

    image_set = IMAGE_SET


prepare = IMAGE_SET.prepare
