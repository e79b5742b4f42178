"""CIFAR-FS: CIFAR-100, its classes divided at random (Bertinetto et al. 2019)."""

from bench.data.images import cifar100
from bench.data.images.prepared import PreparedImages

IMAGE_SET = cifar100.image_set(
    "cifar_fs",
    "CIFAR-FS",
    "bertinetto.json",
    "fine",
    {"train": (64, 38_400), "val": (16, 9_600), "test": (20, 12_000)},
)


class CifarFSDataModule(PreparedImages):
    """Episodes of small photographs: 32x32 RGB, in 0..1.

    Args:
        **kwargs: see :class:`bench.data.images.prepared.PreparedImages`.
    """

    image_set = IMAGE_SET


prepare = IMAGE_SET.prepare
