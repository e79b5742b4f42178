"""CIFAR-FS: CIFAR-100, its classes divided at random (Bertinetto et al. 2019)."""

from pathlib import Path

from bench.data.images import cifar100
from bench.data.images.prepared import PreparedImages

KNOWN = cifar100.known(
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

    known = KNOWN


def prepare(source: Path | None = None, data_root: Path | None = None) -> str:
    """Packs the images of a source; see :func:`bench.data.images.cifar100.prepare`."""
    return cifar100.prepare(KNOWN, source, data_root)
